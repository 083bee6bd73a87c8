/** How an export begins: what is a point of its own from then on, what another one may go on from, and who tries again. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { RaftError, RaftNode, systemClock, toNodeId } from '@pact-journal/raft-core';
import { MemoryLogStore, MemoryNetwork, MemorySnapshotStore } from '@pact-journal/raft-core/testing';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { LagClock } from '../../src/backup/export/lag.ts';
import { loadConfig } from '../../src/config/index.ts';
import { Alarms } from '../../src/server/alarms.ts';
import { Checkpoints } from '../../src/server/checkpoints.ts';
import { JournalMachine } from '../../src/server/journal-machine.ts';
import { BackupExport } from '../../src/server/safekeeping/backup-export.ts';
import { failureLine, runHere } from '../cli/run-cli.ts';
import { usePlaces, verified, WAIT, withCluster } from './exporting-cluster.ts';

const places = usePlaces();
const { directory } = places;

test('what was committed before the export began is in its first snapshot and no point of its own; what follows is', async () => {
  const url = places.s3.url('late');
  places.s3.fault = () => ({ kind: 'refuse', status: 503, code: 'ServiceUnavailable' });
  await withCluster(1, url, [], async ({ commit, exported }) => {
    await commit(5);
    places.s3.fault = () => undefined;
    await exported();
    await commit(3);
    await exported();
  });
  expect(await verified(url)).toMatchObject({ findings: [], gaps: 0, state: { entryCount: 8 } });
  for (const [sequence, code] of [
    [0, 4],
    [3, 4],
    [4, 0],
    [6, 0],
  ] as const) {
    const target = join(directory, `late-${String(sequence)}`);
    const point = ['--to-sequence', String(sequence), '--json'];
    const result = await runHere(['restore', '--from', url, '--data-dir', target, ...point]);
    expect(result.code, result.stderr).toBe(code);
    if (code === 0) expect(JSON.parse(result.stdout)).toMatchObject({ entries: sequence + 1 });
    else expect(failureLine(result)).toContain('the oldest point it keeps is sequence 4');
  }
}, 120_000);

test('an export goes on from a snapshot whose last command was a repeated one', async () => {
  const url = places.s3.url('repeated');
  await withCluster(1, url, [], async ({ journal, commit, exported }) => {
    places.s3.fault = ({ method, url: path = '' }) =>
      method === 'PUT' && path.includes('/log/')
        ? { kind: 'refuse', status: 503, code: 'ServiceUnavailable' }
        : undefined;
    await commit(2);
    const change = aCommit(vcluster('ml'), { kernel: { twice: 'said' } });
    const first = await journal.append(change, { requestId: 'once' });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const again = await journal.append(change, { requestId: 'once' });
    expect(again).toMatchObject({ sequence: first.sequence });
    await journal.createBackup();
    places.s3.fault = () => undefined;
    await exported();
    await commit(2);
    await exported();
  });
  expect(await verified(url)).toMatchObject({ findings: [], gaps: 0, state: { entryCount: 5 } });
}, 120_000);

test("a backup reaches its last command although what was exported last is a new leader's empty entry", async () => {
  const place = join(directory, 'reach');
  mkdirSync(place);
  const reach = async (): Promise<{ readonly index: number; readonly time: string }> => {
    const { stdout } = await runHere(['backup', 'list', place, '--json']);
    return (JSON.parse(stdout) as { readonly reach: { readonly index: number; readonly time: string } })
      .reach;
  };
  await withCluster(1, place, [], async ({ cluster, commit, exported }) => {
    await exported();
    await commit(2);
    await exported();
    let before = { index: 0, time: '' };
    // The overlay that the commits call for is a command too, and comes a moment after them: looked at twice, a second
    // apart.
    const settled = async (): Promise<boolean> => {
      const earlier = before;
      before = await reach();
      return before.index === earlier.index;
    };
    await expect.poll(settled, { interval: 1_000, timeout: 20_000 }).toBe(true);
    expect(before.time > '2').toBe(true);
    const leader = await cluster.leader();
    await leader.kill('SIGTERM');
    cluster.startNode(leader.place.id);
    await cluster.leader();
    await exported();
    await vi.waitFor(async () => expect((await reach()).index).toBeGreaterThan(before.index), WAIT);
    expect((await reach()).time).toBe(before.time);
  });
}, 60_000);

test('a leader that cannot begin at first says why and begins as soon as it can', async () => {
  const id = toNodeId(1);
  const machine = new JournalMachine();
  const [logStore, snapshots] = [new MemoryLogStore(), new MemorySnapshotStore()];
  const node = await RaftNode.start({
    id,
    bootstrap: { members: [{ id, address: 'localhost:1', attributes: {} }] },
    stateMachine: machine,
    logStore,
    snapshotStore: snapshots,
    transport: new MemoryNetwork({ clock: systemClock }).transport(id),
  });
  let busy = 2;
  const reading = {
    on: node.on.bind(node),
    status: node.status.bind(node),
    snapshot: node.snapshot.bind(node),
    linearizableRead: () => {
      busy -= 1;
      return busy < 0
        ? node.linearizableRead()
        : Promise.reject(new RaftError('readTimeout', 'no leader confirmed the read in time'));
    },
  };
  const place = mkdtempSync(join(directory, 'busy-'));
  const { config } = await loadConfig({ environment: {}, flags: { 'backup-url': place } });
  const alarms = new Alarms();
  const backup = new BackupExport({
    config,
    group: { node: reading, snapshots, logStore },
    machine,
    checkpoints: new Checkpoints(),
    alarms,
    log: pino({ level: 'silent' }),
    refusal: () => undefined,
  });
  await vi.waitFor(() => expect(alarms.list().map(({ code }) => code)).toEqual(['backupFailing']), WAIT);
  expect(alarms.list()[0]?.message).toContain('no leader confirmed the read in time');
  await vi.waitFor(() => expect(backup.status()).toMatchObject({ exporting: true, lagEntries: 0 }), WAIT);
  expect(alarms.list()).toEqual([]);
  await backup.stop();
  await node.stop();
}, 60_000);

test('the lag of a new leader counts from when an entry was committed, not from when it was applied there', () => {
  const lag = new LagClock((index) => (index <= 20 ? 5_000 : 0));
  lag.applied(10, 1_000);
  lag.applied(20, 1_100);
  lag.began();
  lag.exported(5);
  expect(lag).toMatchObject({ entries: 15 });
  expect(lag.seconds(1_200)).toBe(5);
  lag.exported(19);
  expect(lag.seconds(1_200)).toBe(5);
  // From here on this node has acknowledged them itself.
  lag.applied(30, 1_300);
  lag.exported(20);
  expect(lag.seconds(1_400)).toBeCloseTo(0.3);
  lag.exported(30);
  expect(lag.seconds(9_000)).toBe(0);
});
