import type { sendUnaryData, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { LogIndex, Term } from '@pact-journal/raft-core';
import { storedSnapshotToWire } from '../codec/snapshot.ts';
import type {
  DescribeSnapshotRequest,
  DescribeSnapshotResponse,
  ReadSnapshotRequest,
  ReadSnapshotResponse,
} from '../gen/raft/v1/raft.ts';
import { checkHello } from './handshake.ts';
import type { InboundHost } from './host.ts';

/** What is read from the store, and written, at a time. */
const PIECE_BYTES = 256 * 1024;

export function describeSnapshot(
  call: ServerUnaryCall<DescribeSnapshotRequest, DescribeSnapshotResponse>,
  callback: sendUnaryData<DescribeSnapshotResponse>,
  host: InboundHost,
): void {
  const outcome = checkHello(call, call.request.hello, host.hello(), host.options);
  if (typeof outcome !== 'number') {
    host.callerRefused(call.getPeer(), call.request.hello?.nodeId ?? 0, outcome.kind, outcome.reason);
    callback({ code: outcome.code, details: outcome.reason });
    return;
  }
  const { index, term } = call.request;
  const stored = host.describeSnapshot(index as LogIndex, term as Term);
  if (stored === undefined) {
    callback({
      code: status.NOT_FOUND,
      details: `node ${host.options.id} has no snapshot at index ${index}, term ${term}`,
    });
    return;
  }
  callback(null, { snapshot: storedSnapshotToWire(stored) });
}

/** Reads a piece, writes it, waits until it is taken: a slow reader holds one piece in memory. */
export async function readSnapshot(
  call: ServerWritableStream<ReadSnapshotRequest, ReadSnapshotResponse>,
  host: InboundHost,
): Promise<void> {
  call.on('error', () => undefined);
  const outcome = checkHello(call, call.request.hello, host.hello(), host.options);
  if (typeof outcome !== 'number') {
    host.callerRefused(call.getPeer(), call.request.hello?.nodeId ?? 0, outcome.kind, outcome.reason);
    call.emit('error', { code: outcome.code, details: outcome.reason });
    return;
  }
  if (!host.beginSnapshotRead()) {
    call.emit('error', {
      code: status.UNAVAILABLE,
      details: `node ${host.options.id} is serving ${host.options.limits.maxSnapshotReads} snapshot reads already`,
    });
    return;
  }
  try {
    const { sha256, maxBytes } = call.request;
    let { offset } = call.request;
    const end = offset + maxBytes;
    while (offset < end && !call.cancelled) {
      const wanted = Math.min(PIECE_BYTES, end - offset);
      const data = await host.readSnapshot(sha256, offset, wanted);
      if (data.length > 0 && !call.cancelled) await write(call, { data });
      offset += data.length;
      if (data.length < wanted) break;
    }
    call.end();
  } catch (error) {
    const details = error instanceof Error ? error.message : String(error);
    call.emit('error', { code: status.NOT_FOUND, details });
  } finally {
    host.endSnapshotRead();
  }
}

/** Resolves once the piece is with the network, or the caller is gone. */
function write(
  call: ServerWritableStream<ReadSnapshotRequest, ReadSnapshotResponse>,
  piece: ReadSnapshotResponse,
): Promise<void> {
  return new Promise((resolve) => {
    const gone = (): void => resolve();
    call.once('cancelled', gone);
    call.write(piece, () => {
      call.removeListener('cancelled', gone);
      resolve();
    });
  });
}
