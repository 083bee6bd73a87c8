/** What an operator is told of a node's disk, certificates and lag. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CommitTimes } from '../../src/server/commit-times.ts';
import { DiskWatch, endingCertificates } from '../../src/server/conditions.ts';
import { DiskUsage } from '../../src/server/disk-usage.ts';

const GIB = 2 ** 30;
const now = Date.parse('2026-11-24T12:00:00Z');

describe('alarms read off the state', () => {
  test.each([
    ['plenty', 500 * GIB, 1_000 * GIB, 0],
    ['few bytes, but a large share of a small disk', GIB, 8 * GIB, 0],
    ['a small share, but many bytes', 20 * GIB, 1_000 * GIB, 0],
    ['few bytes and a small share', GIB, 100 * GIB, 1],
  ])('a disk with %s', (_what, freeBytes, totalBytes, count) => {
    expect(new DiskWatch().alarms({ dataDir: '/d', usedBytes: 1, freeBytes, totalBytes }, now)).toHaveLength(
      count,
    );
  });

  test('a scarce disk is told of with the time since when, until there is room again', () => {
    const watch = new DiskWatch();
    const disk = (freeBytes: number) => ({ dataDir: '/d', usedBytes: 1, freeBytes, totalBytes: 100 * GIB });
    const sinceMs = (freeBytes: number, nowMs: number) =>
      watch.alarms(disk(freeBytes), nowMs).map(({ since }) => since.getTime());
    expect(sinceMs(GIB, now)).toEqual([now]);
    expect(sinceMs(GIB / 2, now + 60_000)).toEqual([now]);
    expect(sinceMs(50 * GIB, now + 120_000)).toEqual([]);
    expect(sinceMs(GIB, now + 180_000)).toEqual([now + 180_000]);
  });

  test('a certificate is told of from a month before it runs out, and after', () => {
    const inDays = (days: number): ReturnType<typeof endingCertificates> =>
      endingCertificates(
        [{ purpose: 'peer', subject: 'node-1', path: '/c.pem', notAfter: new Date(now + days * 86_400_000) }],
        now,
      );
    expect(inDays(31)).toEqual([]);
    expect(inDays(12)[0]).toMatchObject({
      code: 'certificateEnds',
      message: expect.stringMatching(/peer certificate of node-1 in \/c\.pem runs out in 12 days/) as string,
    });
    expect(inDays(-1)[0]?.message).toContain('has run out');
  });
});

test('disk usage is that of the directory and the file system below it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pact-disk-'));
  await mkdir(join(directory, 'raft'));
  await writeFile(join(directory, 'raft', 'log'), Buffer.alloc(300_000, 1));
  const facts = await new DiskUsage(directory).facts();
  expect(facts?.usedBytes).toBeGreaterThanOrEqual(300_000);
  expect(facts?.usedBytes).toBeLessThan(400_000);
  expect(facts?.freeBytes).toBeLessThanOrEqual(facts?.totalBytes ?? 0);
  expect(await new DiskUsage(join(directory, 'absent')).facts()).toBeUndefined();
  await rm(directory, { recursive: true });
});

describe('lag in time', () => {
  test('is the age of the oldest committed entry that a member lacks', () => {
    const times = new CommitTimes();
    for (let at = 1; at <= 10; at += 1) times.record(at * 1_000, at * 10);
    expect(times.committedForMs(100, 10_500)).toBe(0);
    expect(times.committedForMs(99, 10_500)).toBe(500);
    expect(times.committedForMs(90, 10_500)).toBe(500);
    expect(times.committedForMs(89, 10_500)).toBe(1_500);
    expect(times.committedForMs(0, 10_500)).toBe(9_500);
    times.clear();
    expect(times.committedForMs(0, 10_500)).toBe(0);
  });

  test('is right to a quarter of a second, also after the last of a burst, and goes back an hour at least', () => {
    const times = new CommitTimes();
    const stepMs = 10;
    const count = 1_000_000;
    for (let at = 1; at <= count; at += 1) times.record(at * stepMs, at);
    const lagOf = (lacking: number): number => times.committedForMs(count - lacking, count * stepMs);
    expect(Math.abs(lagOf(1) - 0)).toBeLessThanOrEqual(250);
    expect(Math.abs(lagOf(1_000) - 10_000)).toBeLessThanOrEqual(250);
    expect(Math.abs(lagOf(360_000) - 3_600_000)).toBeLessThanOrEqual(250);
    expect(lagOf(count)).toBeGreaterThanOrEqual(3_600_000);
  });
});
