/**
 * A replicated key-value service: three of these processes, each with its own directory, make one group.
 *
 *   kv --id 1 --dir /tmp/kv1 --members 1=127.0.0.1:7101/127.0.0.1:8101,2=127.0.0.1:7102/127.0.0.1:8102,3=...
 *
 * A member is ID=RAFT_ADDRESS/HTTP_ADDRESS; every process is given the same list.
 */
import { parseArgs } from 'node:util';
import { RaftNode } from '@pact-journal/raft-core';
import type { Member, NodeId } from '@pact-journal/raft-core';
import { GrpcTransport } from '@pact-journal/raft-grpc';
import { openWalStorage } from '@pact-journal/wal-storage';
import { serveHttp } from './http.ts';
import { KeyValueStore } from './store.ts';

const CLUSTER_ID = 'kv-example';

const { values: options } = parseArgs({
  options: { id: { type: 'string' }, dir: { type: 'string' }, members: { type: 'string' } },
});
const { dir: dataDir, members: list } = options;
if (options.id === undefined || dataDir === undefined || list === undefined) {
  console.error('usage: kv --id N --dir DIRECTORY --members ID=RAFT_ADDRESS/HTTP_ADDRESS,...');
  process.exit(2);
}

const members = list.split(',').map((text): Member => {
  const [, id, address = '', http = ''] = /^(\d+)=([^/]+)\/(.+)$/.exec(text) ?? [];
  return { id: Number(id) as NodeId, address, attributes: { http } };
});
const self = members.find(({ id }) => id === Number(options.id));
if (self === undefined) throw new Error(`node ${options.id} is not among the members`);

const store = new KeyValueStore();
const { log, snapshots } = openWalStorage({ dataDir, clusterId: CLUSTER_ID, nodeId: self.id });
const node = await RaftNode.start({
  id: self.id,
  logStore: log,
  snapshotStore: snapshots,
  stateMachine: store,
  transport: new GrpcTransport({ id: self.id, clusterId: CLUSTER_ID, listen: self.address }),
  bootstrap: { members },
  snapshotIntervalEntries: 10_000,
});
node.on('fatal', ({ error }) => {
  console.error(`${error.code}: ${error.message}`);
  process.exit(1);
});

const [host, port] = (self.attributes['http'] ?? '').split(':');
const server = serveHttp(node, store).listen(Number(port), host, () => {
  console.log(`node ${String(self.id)} serves http://${String(host)}:${String(port)}`);
});

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    server.close();
    server.closeAllConnections();
    void node.stop(); // Hands leadership over first.
  });
}
