/** More rounds: `node scripts/disaster.mjs --rounds 50`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { killAllNodes } from '../support/test-cluster.ts';
import { disaster } from './disaster.ts';

const directory = mkdtempSync(join(tmpdir(), 'pact-disaster-store-'));

afterEach(killAllNodes);
afterAll(() => rmSync(directory, { recursive: true }));

test('kill -9 of every node under load and the loss of every data directory cost at most what was reported as lag', async () => {
  const report = await disaster({ url: `file://${directory}`, random: Math.random });
  expect(report.acknowledged).toBeGreaterThan(0);
  expect(report.restored).toBeGreaterThan(0);
}, 300_000);
