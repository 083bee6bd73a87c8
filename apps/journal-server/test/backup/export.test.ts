/** The export of a running cluster: without gaps over changes of leader, through everything that a store can do wrong. */
import { mkdirSync, readdirSync, renameSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { JournalClient } from '@pact-journal/journal-client';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { expect, test, vi } from 'vitest';
import { Repository } from '../../src/backup/format/repository.ts';
import { prune } from '../../src/backup/retention.ts';
import { openStore } from '../../src/backup/store/open-store.ts';
import { readTimeline } from '../../src/backup/timeline.ts';
import { verifyBackup } from '../../src/backup/verify.ts';
import { failureLine, runHere } from '../cli/run-cli.ts';
import { S3_ENVIRONMENT, S3Server, type Fault } from '../support/s3-server.ts';
import { TestCluster } from '../support/test-cluster.ts';
import { usePlaces, verified, WAIT, withCluster } from './exporting-cluster.ts';

const places = usePlaces();
const { directory } = places;

test('changes of leader, in order and by kill -9, leave no gap and nothing twice', async () => {
  const url = places.s3.url('hand-over');
  await withCluster(3, url, [], async ({ cluster, commit, exported }) => {
    await commit(5);
    await exported();
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const leader = await cluster.leader();
      await leader.kill(signal);
      await commit(5);
      cluster.startNode(leader.place.id);
      await cluster.leader();
      await exported();
    }
    await commit(5);
    await exported();
  });
  const { findings, gaps, state } = await verified(url);
  expect({ findings, gaps, entries: state?.entryCount }).toEqual({ findings: [], gaps: 0, entries: 20 });
  const repository = new Repository(await openStore(url));
  const { batches } = await readTimeline(repository);
  const terms = await Promise.all(batches.map(async ({ key }) => (await repository.batch(key)).writerTerm));
  expect(terms).toEqual(terms.toSorted((a, b) => a - b));
  expect(new Set(terms).size).toBeGreaterThan(1);
}, 120_000);

test('a store that is down, slow, full, denies access or answers with wrong bytes is reported and survived', async () => {
  const url = places.s3.url('faults', '&timeout=1');
  await withCluster(1, url, [], async ({ cluster, journal, commit, exported }) => {
    await commit(2);
    await exported();
    const metrics = async (): Promise<string> => (await cluster.node(1).http('/metrics')).text();
    const faults: readonly (readonly [string, Fault, string])[] = [
      ['unavailable', { kind: 'refuse', status: 503, code: 'ServiceUnavailable' }, 'ServiceUnavailable'],
      ['denied', { kind: 'refuse', status: 403, code: 'AccessDenied' }, 'access is denied'],
      ['full', { kind: 'refuse', status: 507, code: 'XMinioStorageFull' }, 'no room left'],
      ['slow', { kind: 'hang' }, 'no answer in time'],
      ['checksumMismatch', { kind: 'refuse', status: 400, code: 'BadDigest' }, 'not what was sent'],
    ];
    for (const [code, fault, words] of faults) {
      places.s3.fault = () => fault;
      // Commits are acknowledged as if nothing were wrong.
      await commit(2);
      await vi.waitFor(async () => {
        const { alarms } = await journal.status();
        expect(alarms.find((alarm) => alarm.code === 'backupFailing')?.message).toContain(words);
      }, WAIT);
      const status = await journal.backupStatus();
      expect(status.failure).toContain(words);
      expect(status.lag_entries).toBeGreaterThan(0);
      expect(await metrics()).toContain(`pact_backup_failures_total{code="${code}"}`);
      expect(await metrics()).toContain('pact_backup_failing 1');
      places.s3.fault = () => undefined;
      await exported();
      expect((await journal.status()).alarms).toEqual([]);
    }
    // Reads that come back changed are found by the SDK's checksum or by ours.
    places.s3.fault = (request) =>
      request.method === 'GET' && request.url?.includes('/log/') === true ? { kind: 'corrupt' } : undefined;
    const wrong = await runHere(['backup', 'verify', url]);
    expect(wrong).toMatchObject({ code: 5 });
    places.s3.fault = () => undefined;
  });
  const { findings, gaps, state } = await verified(url);
  expect({ findings, gaps, entries: state?.entryCount }).toEqual({ findings: [], gaps: 0, entries: 12 });
}, 120_000);

test('log that the store refuses at first follows its snapshot once it is taken, without a gap', async () => {
  const url = places.s3.url('late-log');
  await withCluster(1, url, [], async ({ journal, commit, exported }) => {
    places.s3.fault = ({ method, url: path = '' }) =>
      method === 'PUT' && path.includes('/log/')
        ? { kind: 'refuse', status: 503, code: 'ServiceUnavailable' }
        : undefined;
    await vi.waitFor(async () => {
      expect((await journal.backupStatus()).exported_index).not.toBeNull();
    }, WAIT);
    await commit(5);
    await vi.waitFor(async () => {
      expect((await journal.status()).alarms.map(({ code }) => code)).toContain('backupFailing');
    }, WAIT);
    places.s3.fault = () => undefined;
    await exported();
  });
  const { snapshots, batches } = await readTimeline(new Repository(await openStore(url)));
  expect(batches.length).toBeGreaterThan(0);
  expect(batches[0]?.firstIndex).toBe((snapshots[0]?.index ?? 0) + 1);
  expect(await verified(url)).toMatchObject({ findings: [], gaps: 0, state: { entryCount: 5 } });
  for (const sequence of [1, 3]) {
    const target = join(directory, `late-${String(sequence)}`);
    const point = ['--to-sequence', String(sequence), '--json'];
    const { stdout } = await runHere(['restore', '--from', url, '--data-dir', target, ...point]);
    expect(JSON.parse(stdout)).toMatchObject({ restored: true, entries: sequence + 1 });
  }
}, 120_000);

test('what the log no longer holds when the store comes back is replaced by a snapshot, and said to be missing', async () => {
  const place = join(directory, 'mount');
  const away = join(directory, 'away');
  mkdirSync(place);
  const flags = ['--snapshot-interval-entries', '100', '--retained-entries', '0'];
  await withCluster(1, `file://${place}`, flags, async ({ cluster, journal, commit, exported }) => {
    await commit(3);
    await exported();
    renameSync(place, away);
    await commit(250);
    await vi.waitFor(async () => {
      expect((await journal.status()).alarms.map(({ code }) => code)).toContain('backupFailing');
      expect(await (await cluster.node(1).http('/metrics')).text()).toMatch(
        /pact_raft_snapshot_index \d{3}/u,
      );
    }, WAIT);
    renameSync(away, place);
    await exported();
    await commit(3);
    await exported();
  });
  const { findings, gaps, state } = await verified(place);
  expect({ findings, gaps, entries: state?.entryCount }).toEqual({ findings: [], gaps: 1, entries: 256 });
  const target = join(directory, 'gap');
  const toSequence = ['restore', '--from', place, '--data-dir', target, '--to-sequence', '100'];
  for (const args of [toSequence, [...toSequence, '--dry-run']]) {
    const inGap = await runHere(args);
    expect(inGap.code).toBe(4);
    expect(failureLine(inGap)).toContain('gap');
  }
  const { snapshots } = await readTimeline(new Repository(await openStore(place)));
  const afterGap = await new Repository(await openStore(place)).snapshot(snapshots.at(-1)?.key ?? '');
  const justBefore = new Date(Date.parse(afterGap.clock) - 1).toISOString();
  const timeInGap = await runHere([
    'restore',
    '--from',
    place,
    '--data-dir',
    target,
    '--to-time',
    justBefore,
  ]);
  expect(timeInGap.code).toBe(4);
  expect(failureLine(timeInGap)).toContain('gap');
  const after = await runHere([
    'restore',
    '--from',
    place,
    '--data-dir',
    target,
    '--to-sequence',
    '254',
    '--json',
  ]);
  expect(JSON.parse(after.stdout)).toMatchObject({ restored: true, entries: 255 });
}, 120_000);

test('any node, a learner too, exports a restore point on demand; another one moves only what is new', async () => {
  const url = places.s3.url('on-demand');
  const cluster = await TestCluster.start({
    nodes: 1,
    learners: 1,
    flags: ['--backup-url', url],
    env: () => S3_ENVIRONMENT,
  });
  const journal = new JournalClient({ endpoints: cluster.places.map(({ grpc }) => grpc) });
  try {
    const learner = cluster.places[1]?.grpc ?? '';
    const create = async (): Promise<{ readonly index: number; readonly sent_bytes: number }> => {
      const result = await runHere(['--endpoint', learner, 'backup', 'create', '--json']);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      return JSON.parse(result.stdout) as { readonly index: number; readonly sent_bytes: number };
    };
    const nothingNew = async (): Promise<void> => {
      expect(await create()).toMatchObject({ sent_bytes: 0 });
    };
    // Whoever is first, the leader with what its export begins with or the learner, the other finds it there.
    await journal.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
    await vi.waitFor(nothingNew, WAIT);
    const { sequence } = await journal.append(
      aCommit(vcluster('ml'), { kernel: { a: 'x'.repeat(100_000) } }),
    );
    // The learner follows a moment later.
    const fence = ['--vcluster', 'ml', '--min-sequence', String(sequence)];
    expect(await runHere(['--endpoint', learner, 'boot', 'n1', ...fence])).toMatchObject({ code: 0 });
    const first = await create();
    expect(first.sent_bytes).toBeGreaterThan(0);
    // Once the overlay that follows from the commit is stored, nothing changes any more.
    await vi.waitFor(nothingNew, WAIT);
    const listed = await runHere(['--endpoint', learner, 'backup', 'list', '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject({ cluster_id: 'pact' });
    expect(
      (
        JSON.parse(listed.stdout) as { readonly snapshots: readonly { readonly index: number }[] }
      ).snapshots.map(({ index }) => index),
    ).toContain(first.index);
  } finally {
    journal.close();
    await cluster.stop();
  }
}, 120_000);

test('a cluster does not write into the backup of another, nor into that of another life of itself', async () => {
  const place = join(directory, 'owned');
  mkdirSync(place);
  await withCluster(1, place, [], async ({ commit, exported }) => {
    await commit(10);
    await exported();
  });
  for (const flags of [['--cluster-id', 'other'], []]) {
    await withCluster(1, place, flags, async ({ journal, commit }) => {
      await commit(1);
      await vi.waitFor(async () => {
        const { alarms } = await journal.status();
        expect(alarms.find(({ code }) => code === 'backupFailing')?.message).toMatch(
          /another history|backup of cluster pact/u,
        );
      }, WAIT);
    });
  }
  const { findings, state } = await verified(place);
  expect({ findings, entries: state?.entryCount }).toEqual({ findings: [], entries: 10 });
}, 120_000);

test('retention removes what is old and keeps every point after the oldest snapshot that it keeps', async () => {
  const place = join(directory, 'retention');
  mkdirSync(place);
  await withCluster(1, place, [], async ({ journal, commit, exported }) => {
    for (let round = 0; round < 4; round += 1) {
      await commit(3);
      await exported();
      await journal.createBackup();
    }
    await commit(3);
    await exported();
  });
  const repository = new Repository(await openStore(place));
  const before = await readTimeline(repository);
  // Pieces without a use go when they are a day old.
  const chunks = join(place, 'chunks');
  const daysAgo = new Date(Date.now() - 2 * 86_400_000);
  for (const name of readdirSync(chunks)) utimesSync(join(chunks, name), daysAgo, daysAgo);
  const report = await prune(repository, { keepCount: 2, keepAgeMs: 0 }, Date.now());
  expect(report.snapshots).toBe(before.snapshots.length - 2);
  expect(report.logObjects).toBeGreaterThan(0);
  expect(report.chunks).toBeGreaterThan(0);
  expect(await prune(repository, { keepCount: 2, keepAgeMs: 0 }, Date.now())).toMatchObject({
    snapshots: 0,
    logObjects: 0,
    chunks: 0,
  });
  const { findings, gaps, state } = await verifyBackup(repository);
  expect({ findings, gaps, entries: state?.entryCount }).toEqual({ findings: [], gaps: 0, entries: 15 });
  for (const [sequence, code] of [
    [2, 4],
    [8, 0],
    [10, 0],
    [14, 0],
  ] as const) {
    const target = join(directory, `kept-${String(sequence)}`);
    const result = await runHere([
      'restore',
      '--from',
      place,
      '--data-dir',
      target,
      '--to-sequence',
      String(sequence),
    ]);
    expect(result.code, `${String(sequence)}: ${result.stderr}`).toBe(code);
  }
  const young = await prune(repository, { keepCount: 1, keepAgeMs: 3_600_000 }, Date.now());
  expect(young.snapshots).toBe(0);
}, 120_000);

test('a writer of an earlier term is told that it is fenced', async () => {
  const repository = new Repository(await openStore(places.s3.url('fence')));
  await repository.announceWriter(4, 1, '2026-01-01T00:00:00.000Z');
  await repository.announceWriter(7, 2, '2026-01-01T00:00:01.000Z');
  await expect(repository.checkWriter(4)).rejects.toMatchObject({ code: 'fenced' });
  await expect(repository.announceWriter(5, 3, '2026-01-01T00:00:02.000Z')).rejects.toMatchObject({
    code: 'fenced',
  });
  await repository.announceWriter(7, 2, '2026-01-01T00:00:03.000Z');
});

test('on a server without conditional writes a superseded leader writes no more log, and says so', async () => {
  const plain = await S3Server.start({ conditional: false });
  try {
    const url = plain.url('superseded');
    await withCluster(1, url, [], async ({ cluster, journal, commit, exported }) => {
      await commit(3);
      await exported();
      const refusals = async (): Promise<number> => {
        const metrics = await (await cluster.node(1).http('/metrics')).text();
        return Number(/pact_backup_failures_total\{code="fenced"\} (\d+)/u.exec(metrics)?.[1] ?? 0);
      };
      const repository = new Repository(await openStore(url));
      await repository.announceWriter(1_000, 2, '2026-01-01T00:00:00.000Z');
      await commit(3);
      await vi.waitFor(async () => expect(await refusals()).toBeGreaterThan(0), WAIT);
      const { failure, exported_index: before } = await journal.backupStatus();
      expect(failure).toContain('the leader of term 1000 writes to');
      const { batches } = await readTimeline(repository);
      await commit(3);
      const again = (await refusals()) + 1;
      await vi.waitFor(async () => expect(await refusals()).toBeGreaterThan(again), WAIT);
      const { exported_index: after, lag_entries: lag } = await journal.backupStatus();
      expect(after).toBe(before);
      expect(lag).toBeGreaterThanOrEqual(3);
      expect((await readTimeline(repository)).batches).toEqual(batches);
    });
  } finally {
    await plain.close();
  }
}, 60_000);
