/** One replica with subscribers. Answers its parent: `{"type":"append","count":n}` appends global commits one by one. */
import { Server } from '@grpc/grpc-js';
import { BootFront, BootServer } from '@pact-journal/boot-stream';
import { JournalState, msToTimestamp, parseNewEntry, parseStateDelta } from '@pact-journal/journal-state';
import { nativeSha256 } from '@pact-journal/journal-state/node';

const state = new JournalState({ sha256: nativeSha256 });
const listeners = new Set<() => void>();
const bootServer = new BootServer({
  source: {
    view: () => state,
    currentOverlay: () => Promise.reject(new Error('there are no boots in this benchmark')),
    waitForSequence: () => Promise.resolve(),
    onAppended: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  },
});
const front = new BootFront({ bootServer, grpcServer: new Server() });
const { port } = await front.listen('127.0.0.1', 0);

function append(): void {
  const entry = parseNewEntry({
    entry_type: 'Commit',
    scope: 'Global',
    author: { principal: 'bench', principal_type: 'Service', role: 'pact-platform-admin' },
    parent: null,
    state_delta: parseStateDelta({
      kernel: [{ action: 'Add', key: 'vm.swappiness', value: String(state.entryCount) }],
    }),
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
  });
  state.apply({ time: msToTimestamp(Date.now()), command: { type: 'AppendEntry', entry } });
  for (const listener of listeners) listener();
}

process.on('message', (request: { readonly type: 'append' | 'stats' | 'stop' }) => {
  if (request.type === 'append') append();
  else if (request.type === 'stats') {
    process.send?.({
      type: 'stats',
      subscribers: bootServer.stats().subscribers,
      rssBytes: process.memoryUsage.rss(),
    });
  } else process.exit(0);
});
process.send?.({ type: 'listening', port });
