import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const main = join(import.meta.dirname, '..', 'src', 'counter.ts');

it('the replicated counter counts on three nodes, in one file of at most sixty lines', async () => {
  expect(readFileSync(main, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(60);
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@pact-journal/source', main]);
  expect(stdout).toMatch(
    /^node [123] leads\nadded 1 at index \d+: 1\nadded 2 at index \d+: 3\nadded 39 at index \d+: 42\n/,
  );
  expect(stdout).toContain('counters: 42, 42, 42\n');
});
