/** Which restore points retention keeps: by the journal's own time, whatever the clock of the machine that prunes says. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { msToTimestamp } from '@pact-journal/journal-state';
import { afterAll, expect, test } from 'vitest';
import { Repository } from '../../src/backup/format/repository.ts';
import { planRestore } from '../../src/backup/plan.ts';
import { prune, type PruneReport } from '../../src/backup/retention.ts';
import { DirectoryStore } from '../../src/backup/store/directory-store.ts';
import { sourceOf } from '../../src/backup/store/object-store.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const YEARS_MS = 4 * 365 * DAY_MS;
const NEWEST_MS = Date.parse('2026-03-01T12:00:00Z');
const KEEP_AGE_MS = 7 * DAY_MS;
const RETENTION = { keepCount: 3, keepAgeMs: KEEP_AGE_MS };

const directory = mkdtempSync(join(tmpdir(), 'pact-retention-'));
let places = 0;

afterAll(() => rmSync(directory, { recursive: true }));

interface Made {
  readonly repository: Repository;
  /** Hours before the newest snapshot of those that are there, newest first. */
  snapshots(): readonly number[];
  /** Contents of the pieces that are there. */
  chunks(): readonly string[];
}

/**
 * A backup with a snapshot for each of `hours`, so long before the newest one, written when it was taken by a store whose
 * clock is ahead by `storeAheadMs`; and two pieces that none of them needs, three days and one hour older than the newest.
 */
async function aBackup(hours: readonly number[], storeAheadMs = 0): Promise<Made> {
  const place = join(directory, String((places += 1)));
  mkdirSync(place);
  const repository = new Repository(new DirectoryStore(place));
  const names = new Map<string, string>();
  const date = (path: string, atMs: number): void => {
    const at = new Date(atMs + storeAheadMs);
    utimesSync(join(place, path), at, at);
  };
  const chunk = async (content: string, atMs: number): Promise<string> => {
    const sha256 = createHash('sha256').update(content).digest('hex');
    names.set(sha256, content);
    await repository.writeChunk(sha256, sourceOf(Buffer.from(content)));
    date(`chunks/${sha256}`, atMs);
    return sha256;
  };
  await repository.claim('pact', msToTimestamp(NEWEST_MS));
  for (const ago of hours) {
    const atMs = NEWEST_MS - ago * HOUR_MS;
    const content = `of ${String(ago)}`;
    const index = 10_000 - ago;
    await repository.createSnapshot({
      clusterId: 'pact',
      index,
      term: 1,
      entries: index,
      operations: 0,
      clock: msToTimestamp(atMs),
      digest: 'd',
      createdAt: msToTimestamp(atMs),
      nodeId: 1,
      manifest: { sha256: await chunk(content, atMs), sizeBytes: content.length },
      chunks: [],
    });
    date(`snapshots/${String(index).padStart(16, '0')}-${'1'.padStart(16, '0')}.json`, atMs);
  }
  await chunk('unused for days', NEWEST_MS - 3 * DAY_MS);
  await chunk('of a snapshot that is on its way', NEWEST_MS - HOUR_MS);
  return {
    repository,
    snapshots: () =>
      readdirSync(join(place, 'snapshots'))
        .map((name) => 10_000 - Number(name.slice(0, 16)))
        .toSorted((a, b) => a - b),
    chunks: () => readdirSync(join(place, 'chunks')).map((name) => names.get(name) ?? name),
  };
}

const pruned = ({ repository }: Made, nowMs: number): Promise<PruneReport> =>
  prune(repository, RETENTION, nowMs);

/** Every day for 20 days. */
const HOURS = Array.from({ length: 21 }, (_, at) => at * 24);

test.each([
  ['right', 0, 0],
  ['four years ahead', YEARS_MS, 0],
  ['four years ahead as that of the store is', YEARS_MS, YEARS_MS],
])('with a clock that is %s, what goes is older than keep_age', async (_name, aheadMs, storeAheadMs) => {
  const made = await aBackup(HOURS, storeAheadMs);
  const report = await pruned(made, NEWEST_MS + aheadMs);
  expect(made.snapshots()).toEqual(HOURS.filter((ago) => ago * HOUR_MS <= KEEP_AGE_MS));
  expect(report.snapshots).toBe(HOURS.length - made.snapshots().length);
});

test('pieces without a use stay for a day, however far ahead a clock is', async () => {
  const made = await aBackup([0, 12]);
  expect(await pruned(made, NEWEST_MS + YEARS_MS)).toMatchObject({ snapshots: 0, chunks: 1 });
  expect(made.chunks()).toContain('of a snapshot that is on its way');
  expect(made.chunks()).not.toContain('unused for days');
});

test('with a clock that is years behind nothing goes', async () => {
  const made = await aBackup(HOURS);
  expect(await pruned(made, NEWEST_MS - YEARS_MS)).toMatchObject({ snapshots: 0, chunks: 0 });
  expect(made.snapshots()).toEqual(HOURS);
});

test('with a store whose clock is behind as well, only pieces go that are old by that', async () => {
  const made = await aBackup(HOURS, -YEARS_MS);
  expect(await pruned(made, NEWEST_MS - YEARS_MS)).toMatchObject({ snapshots: 0, chunks: 1 });
  expect(made.snapshots()).toEqual(HOURS);
  expect(made.chunks()).not.toContain('unused for days');
});

test('any point younger than keep_age can be restored, from a snapshot that may be older', async () => {
  const made = await aBackup([0, 12, 24, 30 * 24, 40 * 24]);
  await pruned(made, NEWEST_MS);
  expect(made.snapshots()).toEqual([0, 12, 24, 30 * 24]);
  const time = msToTimestamp(NEWEST_MS - KEEP_AGE_MS);
  const { snapshot } = await planRestore(made.repository, { kind: 'time', time });
  expect(snapshot.clock).toBe(msToTimestamp(NEWEST_MS - 30 * DAY_MS));
});

test('so many of the newest snapshots stay whatever their age, and a backup without one is left alone', async () => {
  const made = await aBackup([0, 1_000, 2_000, 3_000]);
  await prune(made.repository, { keepCount: 3, keepAgeMs: 0 }, NEWEST_MS);
  expect(made.snapshots()).toEqual([0, 1_000, 2_000]);
  const empty = await aBackup([]);
  expect(await pruned(empty, NEWEST_MS + YEARS_MS)).toMatchObject({ snapshots: 0, chunks: 0 });
  expect(empty.chunks()).toHaveLength(2);
});
