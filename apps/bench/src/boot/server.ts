/** One replica as boots see it: a journal state, its overlay, the front. Prints where it listens. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Server } from '@grpc/grpc-js';
import { BootFront, BootServer } from '@pact-journal/boot-stream';
import {
  entrySeq,
  JournalState,
  msToTimestamp,
  parseNewEntry,
  parseStateDelta,
} from '@pact-journal/journal-state';
import type { JournalCommand } from '@pact-journal/journal-state';
import { nativeSha256 } from '@pact-journal/journal-state/node';
import { checksumOf, OverlayManager, WorkerCompressor } from '@pact-journal/overlay-builder';

const { values } = parseArgs({
  options: {
    'size-bytes': { type: 'string', default: '150000' },
    cert: { type: 'string' },
    key: { type: 'string' },
    cipher: { type: 'string' },
  },
});

const state = new JournalState({ sha256: nativeSha256 });

function apply(command: JournalCommand): void {
  const { result } = state.apply({ time: msToTimestamp(Date.now()), command });
  if (result.type === 'ValidationError') throw new Error(`${command.type} was refused: ${result.reason}`);
}

const author = { principal: 'bench', principal_type: 'Service', role: 'pact-platform-admin' };
for (let value = 0; value < 2; value += 1) {
  apply({
    type: 'AppendEntry',
    entry: parseNewEntry({
      entry_type: 'Commit',
      scope: { VCluster: 'bench' },
      author,
      parent: null,
      state_delta: parseStateDelta({
        kernel: [{ action: 'Add', key: 'vm.swappiness', value: String(value) }],
      }),
      policy_ref: null,
      ttl_seconds: null,
      emergency_reason: null,
    }),
  });
}
const data = randomBytes(Number(values['size-bytes']));
apply({
  type: 'SetOverlay',
  overlay: {
    vcluster_id: 'bench',
    version: entrySeq(1),
    data: data.toString('base64'),
    checksum: checksumOf(data),
    raw_size_bytes: data.length,
  },
});

const overlays = new OverlayManager({
  view: () => state,
  compressor: new WorkerCompressor(),
  store: () => Promise.resolve(),
});
const bootServer = new BootServer({
  source: {
    view: () => state,
    currentOverlay: (vclusterId) => overlays.current(vclusterId),
    waitForSequence: () => Promise.resolve(),
    onAppended: () => () => undefined,
  },
});
const { cert, key, cipher } = values;
const tls =
  cert === undefined || key === undefined
    ? undefined
    : {
        cert: readFileSync(cert),
        key: readFileSync(key),
        minVersion: 'TLSv1.3' as const,
        ...(cipher === undefined ? {} : { ciphers: cipher }),
      };
const front = new BootFront({
  bootServer,
  grpcServer: new Server(),
  ...(tls === undefined ? {} : { tls }),
});
const { port } = await front.listen('127.0.0.1', 0);
process.stdout.write(`${JSON.stringify({ port })}\n`);
