import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDirectory } from '../../src/directories.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pact-directories-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

test('makes every missing level, and is content where all are there', async () => {
  const path = join(folder, 'a', 'b', 'c');
  await makeDirectory(path);
  await makeDirectory(path);
  expect(statSync(path).isDirectory()).toBe(true);
});

test('several at once make the same levels', async () => {
  const path = join(folder, 'shared', 'x', 'y');
  await Promise.all([makeDirectory(path), makeDirectory(path), makeDirectory(path)]);
  expect(statSync(path).isDirectory()).toBe(true);
});

test.each(['/proc/x', '/proc/x/y/z'])(
  'ends where the parent is there and nothing can be made in it: %s',
  async (path) => {
    await expect(makeDirectory(path)).rejects.toThrow(/^the directory \/proc\/x could not be made \(E/u);
  },
);

test('a file in the way is named', async () => {
  const path = join(folder, 'file');
  writeFileSync(path, '');
  await expect(makeDirectory(path)).rejects.toThrow(`${path} exists and is not a directory`);
  await expect(makeDirectory(join(path, 'below'))).rejects.toThrow(
    /file\/below could not be made \(ENOTDIR/u,
  );
});
