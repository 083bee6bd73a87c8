/** A cluster whose leader is killed over and over, under load: nothing acknowledged is lost and nothing is there twice. */
import { randomUUID } from 'node:crypto';
import { JournalClient } from '@pact-journal/journal-client';
import type { ConfigEntry } from '@pact-journal/journal-state';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commitOf } from '../support/calls.ts';
import { LokiReceiver } from '../support/loki-receiver.ts';
import { TestCluster } from '../support/test-cluster.ts';

const DURATION_MS = 60_000;
const KILL_EVERY_MS = 5_000;
/** How long a killed node stays away. */
const AWAY_MS = 1_500;
const WRITERS = 8;
const PAUSE_MS = 20;

let cluster: TestCluster;
let loki: LokiReceiver;

beforeAll(async () => {
  loki = await LokiReceiver.start();
  cluster = await TestCluster.start({
    nodes: 3,
    flags: ['--loki-url', loki.url, '--loki-batch-wait', '100ms', '--loki-timeout', '1s'],
  });
});

afterAll(async () => {
  await cluster.stop();
  await loki.close();
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Appends until told to stop, one after the other; returns the sequence that each request id was given. */
async function write(client: JournalClient, goingOn: () => boolean): Promise<ReadonlyMap<string, number>> {
  const acknowledged = new Map<string, number>();
  while (goingOn()) {
    const requestId = randomUUID();
    const entry = commitOf('vm.load', requestId, { VCluster: 'load' }, { message: requestId });
    const { sequence } = await client.append(entry, { requestId });
    acknowledged.set(requestId, sequence);
    await pause(PAUSE_MS);
  }
  return acknowledged;
}

async function everything(client: JournalClient): Promise<readonly ConfigEntry[]> {
  const entries: ConfigEntry[] = [];
  for await (const entry of client.entries({})) entries.push(entry);
  return entries;
}

async function killLeaders(untilMs: number): Promise<number> {
  let kills = 0;
  for (let at = performance.now() + KILL_EVERY_MS; at < untilMs; at += KILL_EVERY_MS) {
    await pause(Math.max(0, at - performance.now()));
    const leader = await cluster.leader();
    await leader.kill('SIGKILL');
    kills += 1;
    await pause(AWAY_MS);
    await cluster.startNode(leader.place.id).ready();
  }
  return kills;
}

test(
  'a leader killed every 5 s for 60 s under load: every entry is there once, in the journal and in Loki',
  { timeout: DURATION_MS + 90_000 },
  async () => {
    const client = new JournalClient({ endpoints: cluster.places.map(({ grpc }) => grpc) });
    const untilMs = performance.now() + DURATION_MS;
    const writers = Array.from({ length: WRITERS }, () => write(client, () => performance.now() < untilMs));
    const kills = await killLeaders(untilMs);
    const acknowledged = new Map((await Promise.all(writers)).flatMap((written) => [...written]));
    await cluster.leader();

    // Any replica answers, and one that was killed may have to catch up first.
    let entries = await everything(client);
    await expect
      .poll(async () => (entries = await everything(client)).length)
      .toBeGreaterThanOrEqual(acknowledged.size);
    client.close();
    expect(kills).toBe(DURATION_MS / KILL_EVERY_MS - 1);
    expect(acknowledged.size).toBeGreaterThan(1_000);
    // Zero lost, zero duplicated: what was acknowledged is what is there, each in the place that was told.
    // Counted as well: where a repeat was given a place of its own, the map has only one of the two.
    expect(entries).toHaveLength(acknowledged.size);
    expect(new Map(entries.map(({ sequence, message }) => [message, sequence]))).toEqual(acknowledged);
    expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, index) => index));

    await expect.poll(() => loki.stored, { timeout: 30_000 }).toBe(entries.length);
    expect(loki.facts().map(({ sequence, message }) => [sequence, message])).toEqual(
      entries.map(({ sequence, message }) => [sequence, message]),
    );
    expect(loki.violations).toEqual([]);
  },
);
