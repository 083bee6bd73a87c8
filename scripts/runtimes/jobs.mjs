/** A small job for each library, as a consumer of the published packages on this Node would give it. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalState, encodeCommand } from '@pact-journal/journal-state';
import { aCommit, at, vcluster } from '@pact-journal/journal-state/testing';
import { WorkerCompressor, buildOverlay, overlayContentOf } from '@pact-journal/overlay-builder';
import { RaftNode } from '@pact-journal/raft-core';
import { testLogStore, testSnapshotStore } from '@pact-journal/raft-core/testing';
import { GrpcTransport } from '@pact-journal/raft-grpc';
import {
  DirectorySnapshotStore,
  DiskFileSystem,
  WalLogStore,
  openWalStorage,
} from '@pact-journal/wal-storage';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const scratch = mkdtempSync(join(tmpdir(), 'pact-journal-jobs-'));

/** wal-storage passes the suites that raft-core gives to implementers. */
async function storage() {
  let made = 0;
  const options = () => ({
    dataDir: join(scratch, `store-${(made += 1)}`),
    clusterId: 'jobs',
    identity: { clusterId: 'jobs', nodeId: 1 },
    fileSystem: new DiskFileSystem(),
    onWarning: () => undefined,
    payload: 'auto',
    entriesPerFile: 4096,
    tailCacheSizeBytes: 1 << 20,
  });
  const on = (Store) => () => {
    const place = options();
    return { open: () => new Store(place) };
  };
  for (const { name, run } of [
    ...testLogStore(on(WalLogStore)),
    ...testSnapshotStore(on(DirectorySnapshotStore)),
  ]) {
    await run().catch((error) => Promise.reject(new Error(`${name}: ${error.message}`)));
  }
}

/** One durable node over a real port commits and comes back. */
async function consensus() {
  const dataDir = join(scratch, 'raft');
  const start = async () => {
    const { log, snapshots } = openWalStorage({ dataDir, clusterId: 'jobs', nodeId: 1 });
    const applied = [];
    const stateMachine = {
      apply: (entries) => entries.map(({ data }) => applied.push(Buffer.from(data).toString())),
      snapshot: () => ({ sections: [], release: () => undefined }),
      restore: () => Promise.resolve(),
    };
    const transport = new GrpcTransport({ id: 1, clusterId: 'jobs', listen: '127.0.0.1:0' });
    const bootstrap = { members: [{ id: 1, address: '127.0.0.1:0', attributes: {} }] };
    const node = await RaftNode.start({
      id: 1,
      logStore: log,
      snapshotStore: snapshots,
      stateMachine,
      transport,
      bootstrap,
      tickIntervalMs: 10,
    });
    while (node.status().role !== 'leader') await new Promise((resolve) => setTimeout(resolve, 5));
    return { node, applied };
  };
  const first = await start();
  await Promise.all(Array.from({ length: 100 }, (_, n) => first.node.propose(Buffer.from(`{"n":${n}}`))));
  await first.node.stop();
  const second = await start();
  await second.node.linearizableRead();
  if (second.applied.length !== 100) throw new Error(`${second.applied.length} of 100 commands came back`);
  await second.node.stop();
}

/** The same commands give the same digest and the same overlay, whatever the Node. */
async function journal() {
  const state = new JournalState({ sha256 });
  for (let n = 0; n < 500; n += 1) {
    const declared = { kernel: { [`kernel.k${n % 50}`]: String(n) }, packages: { bash: `5.${n}` } };
    const { result } = state.apply({
      time: at(n),
      command: { type: 'AppendEntry', entry: aCommit(vcluster('ml'), declared) },
    });
    if (result.type !== 'EntryAppended') throw new Error(JSON.stringify(result));
  }
  encodeCommand({ time: at(0), command: { type: 'AssignNode', node_id: 'n1', vcluster_id: 'ml' } });
  const compressor = new WorkerCompressor();
  const overlay = await buildOverlay(overlayContentOf(state, 'ml'), compressor, 'urgent');
  await compressor.close();
  console.log(`same: digest ${state.digest()}`);
  console.log(`same: overlay ${overlay.checksum}`);
}

try {
  await storage();
  await consensus();
  await journal();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
