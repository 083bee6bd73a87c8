/** A backup that somebody made to do harm: every hash in it is right, and it gets nowhere. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compress } from 'zstd-napi';
import { afterAll, expect, test } from 'vitest';
import { sealObject } from '../../src/backup/format/document.ts';
import { decodeBatch } from '../../src/backup/format/log-batch.ts';
import { Repository } from '../../src/backup/format/repository.ts';
import { decodeSnapshotRecord } from '../../src/backup/format/snapshot-record.ts';
import { planRestore } from '../../src/backup/plan.ts';
import { restoreBackup } from '../../src/backup/restore.ts';
import { openStore } from '../../src/backup/store/open-store.ts';
import { raftMember } from '../../src/server/members.ts';

const directory = mkdtempSync(join(tmpdir(), 'pact-hostile-'));
afterAll(() => rmSync(directory, { recursive: true }));

const SNAPSHOT = {
  cluster_id: 'evil',
  index: 5,
  term: 1,
  entries: 0,
  operations: 0,
  clock: '2026-01-01T00:00:00.000Z',
  digest: 'sha256:0',
  created_at: '2026-01-01T00:00:00.000Z',
  node_id: 1,
};
const SNAPSHOT_KEY = 'snapshots/0000000000000005-0000000000000001.json';
const LOG = {
  cluster_id: 'evil',
  node_id: 1,
  writer_term: 1,
  first_index: 6,
  last_index: 6,
  run_first_index: 6,
  previous: null,
  first_time: null,
  last_time: null,
  checkpoint: null,
};
const LOG_KEY = 'log/0000000000000006.jsonl.zst';

test.each([1_000, 300 * 1024 * 1024])(
  'log that decompresses to more than it says (%d bytes) or than makes sense costs no memory',
  (announced) => {
    const bomb = compress(Buffer.alloc(300 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(100_000);
    const { bytes } = sealObject('log', { ...LOG, raw_size_bytes: announced }, bomb);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decodeBatch(LOG_KEY, bytes)).toThrow(`${LOG_KEY}: does not decompress`);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1024 * 1024);
  },
);

test.each(['../../../etc/passwd', '/etc/passwd', '..', 'A'.repeat(64), `${'0'.repeat(64)}/..`])(
  'a piece called %j is no piece',
  (sha256) => {
    const manifest = { sha256, size_bytes: 1 };
    const { bytes } = sealObject('snapshot', { ...SNAPSHOT, manifest, chunks: [] });
    expect(() => decodeSnapshotRecord(SNAPSHOT_KEY, bytes)).toThrow('is not a SHA-256');
    const listed = sealObject('snapshot', {
      ...SNAPSHOT,
      manifest: { sha256: '0'.repeat(64), size_bytes: 1 },
      chunks: [manifest],
    });
    expect(() => decodeSnapshotRecord(SNAPSHOT_KEY, listed.bytes)).toThrow('is not a SHA-256');
  },
);

test('a snapshot whose own file is nonsense under its right name is refused, and leaves nothing behind', async () => {
  const repository = new Repository(await openStore(directory));
  await repository.claim('evil', '2026-01-01T00:00:00.000Z');
  const nonsense = Buffer.from('{"kind":"sealed","key":"../../../tmp/evil","chunks":[]}\n');
  const sha256 = createHash('sha256').update(nonsense).digest('hex');
  await repository.store.create(`chunks/${sha256}`, nonsense);
  const { bytes } = sealObject('snapshot', {
    ...SNAPSHOT,
    manifest: { sha256, size_bytes: nonsense.length },
    chunks: [],
  });
  await repository.store.create(SNAPSHOT_KEY, bytes);
  const plan = await planRestore(repository, { kind: 'end' });
  const dataDir = join(directory, 'target');
  const members = [raftMember(1, '127.0.0.1:1', '127.0.0.1:2', '', '')];
  await expect(
    restoreBackup(repository, { plan, dataDir, clusterId: 'new', nodeId: 1, members, learners: [] }),
  ).rejects.toMatchObject({ name: 'BackupError', code: 'damaged' });
  expect(readdirSync(directory).toSorted()).toEqual(['backup.json', 'chunks', 'snapshots']);
});

test('an object that belongs to another cluster is not taken for this one', async () => {
  const repository = new Repository(await openStore(mkdtempSync(join(directory, 'mixed-'))));
  await repository.claim('ours', '2026-01-01T00:00:00.000Z');
  const manifest = { sha256: '0'.repeat(64), size_bytes: 1 };
  const { bytes } = sealObject('snapshot', { ...SNAPSHOT, manifest, chunks: [] });
  await repository.store.create(SNAPSHOT_KEY, bytes);
  await expect(planRestore(repository, { kind: 'end' })).rejects.toMatchObject({ code: 'foreignCluster' });
});
