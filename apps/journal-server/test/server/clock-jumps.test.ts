/** Three real processes, some of which live a year ahead (libfaketime shifts the time of day, not the monotonic clock). */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHere } from '../cli/run-cli.ts';
import { append, commitOf, stubs, type Stubs } from '../support/calls.ts';
import { requireDebianPackage } from '../support/debian.ts';
import { TestCluster, type TestNode } from '../support/test-cluster.ts';

const YEAR = '+365d';
const MULTIARCH: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

let directory = '';
let cluster: TestCluster;
let client: Stubs;

beforeAll(async () => {
  const folder = MULTIARCH[process.arch] ?? process.arch;
  await requireDebianPackage('faketime', 'faketime');
  const library = `/usr/lib/${folder}/faketime/libfaketimeMT.so.1`;
  directory = await mkdtemp(join(tmpdir(), 'pact-clock-'));
  for (const id of [1, 2, 3]) await shift(id, '+0');
  cluster = await TestCluster.start({
    nodes: 3,
    env: (id) => ({
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: join(directory, String(id)),
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    }),
  });
  client = stubs(cluster.places[0]?.grpc ?? '');
}, 120_000);

afterAll(async () => {
  client.close();
  await cluster.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Moves a node's time of day, at once and while it runs. */
async function shift(id: number, by: string): Promise<void> {
  const file = join(directory, String(id));
  await writeFile(`${file}.new`, by);
  await rename(`${file}.new`, file);
}

async function cli<Document>(...args: string[]): Promise<Document[]> {
  const env = { PACT_ENDPOINT: cluster.places.map(({ grpc }) => grpc).join(',') };
  const result = await runHere([...args, '--json'], { env });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return result.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Document);
}

async function alarms(node: TestNode): Promise<string[]> {
  const [status] = await cli<{ alarms: { code: string; node_id: number }[] }>('status');
  return (status?.alarms ?? []).filter(({ node_id: id }) => id === node.place.id).map(({ code }) => code);
}

/** Everything in the journal happened in this test, and nothing ran out. */
async function expectSaneTimes(): Promise<void> {
  const entries = await cli<{ timestamp: string; entry_type: string }>('log');
  for (const { timestamp, entry_type: type } of entries) {
    expect(Math.abs(Date.parse(timestamp) - Date.now())).toBeLessThan(120_000);
    expect(type).toBe('Commit');
  }
}

test('a leader whose clock jumps a year ahead neither dates entries by it nor lets anything run out', async () => {
  await append(client, commitOf('vm.kept', '1', 'Global', { ttl_seconds: 900 }));
  const leader = await cluster.leader();
  await shift(leader.place.id, YEAR);
  // Raised by the same clock, once a second, that the expiry goes by.
  await expect.poll(() => alarms(leader), { timeout: 15_000 }).toEqual(['clockJumped']);
  await append(client, commitOf('vm.after', '1'));
  expect((await cluster.leader()).place.id).toBe(leader.place.id);
  await expectSaneTimes();
  await shift(leader.place.id, '+0');
  await expect.poll(() => alarms(leader), { timeout: 15_000 }).toEqual([]);
});

test('a node that is started a year ahead leads by the clock of the others', async () => {
  const leader = await cluster.leader();
  const wrong = leader.place.id === 3 ? 2 : 3;
  await cluster.node(wrong).kill('SIGTERM');
  await shift(wrong, YEAR);
  const node = cluster.startNode(wrong);
  await expect.poll(() => alarms(node), { timeout: 15_000 }).toEqual(['clockDiffers']);
  await expect
    .poll(
      async () =>
        (await runHere(['member', 'transfer', String(wrong), '--endpoint', leader.place.grpc])).code,
      { timeout: 15_000 },
    )
    .toBe(0);
  await append(client, commitOf('vm.by-the-wrong-one', '1'));
  expect((await cluster.leader()).place.id).toBe(wrong);
  await expectSaneTimes();
});

test('a journal that got ahead goes on from there, neither back nor standing still', async () => {
  await cluster.stopAll('SIGTERM');
  for (const id of [1, 2, 3]) await shift(id, '-2d');
  await cluster.startAll();
  const leader = await cluster.leader();
  await expect.poll(() => alarms(leader), { timeout: 15_000 }).toContain('journalAhead');
  const before = await cli<{ timestamp: string }>('log');
  await append(client, commitOf('vm.later', '1'));
  // The node that is asked may be a follower, which hears of the commit a moment after its caller.
  await expect.poll(async () => (await cli('log')).length, { timeout: 5_000 }).toBeGreaterThan(before.length);
  const newest = (await cli<{ timestamp: string }>('log')).at(-1)?.timestamp ?? '';
  expect(Date.parse(newest)).toBeGreaterThan(Date.parse(before.at(-1)?.timestamp ?? ''));
});
