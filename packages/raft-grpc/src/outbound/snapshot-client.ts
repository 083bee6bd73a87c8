import type { CallOptions, Client, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { LogIndex, NodeId, SnapshotSource, StoredSnapshot, Term } from '@pact-journal/raft-core';
import { storedSnapshotFromWire } from '../codec/snapshot.ts';
import { RaftGrpcError } from '../errors.ts';
import type { RaftGrpcErrorCode } from '../errors.ts';
import { RaftTransportServiceDefinition } from '../gen/raft/v1/raft.ts';
import type { DescribeSnapshotResponse, Hello, ReadSnapshotResponse } from '../gen/raft/v1/raft.ts';
import type { TransportTimings } from '../options.ts';

/** What fetching a snapshot needs from its transport. */
export interface SnapshotClientHost {
  readonly timings: TransportTimings;
  hello(): Hello;
  /** The connection for snapshots, apart from the lanes'. */
  client(): Client;
}

/** Attempts at one range before giving up; each goes on where the one before stopped. */
const MAX_ATTEMPTS = 5;

/** Asks a peer what a snapshot consists of, and hands out how to read it. */
export async function fetchSnapshot(
  host: SnapshotClientHost,
  peer: NodeId,
  index: LogIndex,
  term: Term,
  signal: AbortSignal,
): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource }> {
  const doing = `fetching the snapshot at index ${index}, term ${term} from node ${peer}`;
  throwIfAborted(signal, doing);
  const response = await describeSnapshot(host, index, term, signal, doing);
  let stored: StoredSnapshot;
  try {
    stored = storedSnapshotFromWire(response.snapshot);
  } catch (error) {
    throw new RaftGrpcError('malformed', `${doing}: its description makes no sense`, error);
  }
  if (stored.meta.index !== index || stored.meta.term !== term) {
    throw new RaftGrpcError(
      'malformed',
      `${doing}: got one at index ${stored.meta.index}, term ${stored.meta.term}`,
    );
  }
  const read = (sha256: string, offset: number, maxBytes: number): Promise<Uint8Array> =>
    readRange(
      host,
      { sha256, offset, maxBytes },
      signal,
      `reading snapshot chunk ${sha256} from node ${peer}`,
    );
  return { stored, source: { read } };
}

function describeSnapshot(
  host: SnapshotClientHost,
  index: LogIndex,
  term: Term,
  signal: AbortSignal,
  doing: string,
): Promise<DescribeSnapshotResponse> {
  const { describeSnapshot: method } = RaftTransportServiceDefinition;
  return new Promise((resolve, reject) => {
    const call = host
      .client()
      .makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { hello: host.hello(), index, term },
        deadline(host.timings.snapshotTimeoutMs),
        (error, response) => {
          signal.removeEventListener('abort', abort);
          if (error !== null) reject(asError(error, signal, doing));
          else if (response === undefined) reject(new RaftGrpcError('malformed', `${doing}: empty answer`));
          else resolve(response);
        },
      );
    const abort = (): void => call.cancel();
    signal.addEventListener('abort', abort, { once: true });
  });
}

interface Range {
  readonly sha256: string;
  readonly offset: number;
  readonly maxBytes: number;
}

async function readRange(
  host: SnapshotClientHost,
  range: Range,
  signal: AbortSignal,
  doing: string,
): Promise<Uint8Array> {
  const received: Uint8Array[] = [];
  let receivedBytes = 0;
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(signal, doing);
    const rest = { ...range, offset: range.offset + receivedBytes, maxBytes: range.maxBytes - receivedBytes };
    try {
      await readOnce(host, rest, signal, doing, (piece) => {
        received.push(piece);
        receivedBytes += piece.length;
      });
      return join(received, receivedBytes);
    } catch (error) {
      const retryable = error instanceof RaftGrpcError && error.code === 'unavailable';
      if (!retryable || attempt >= MAX_ATTEMPTS) throw error;
      await pause(host.timings.backoffMinMs * 2 ** attempt * (0.75 + Math.random() / 2), signal);
    }
  }
}

function readOnce(
  host: SnapshotClientHost,
  range: Range,
  signal: AbortSignal,
  doing: string,
  take: (piece: Uint8Array) => void,
): Promise<void> {
  const { readSnapshot: method } = RaftTransportServiceDefinition;
  return new Promise((resolve, reject) => {
    const call: ClientReadableStream<ReadSnapshotResponse> = host
      .client()
      .makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { hello: host.hello(), sha256: range.sha256, offset: range.offset, maxBytes: range.maxBytes },
        {},
      );
    let left = range.maxBytes;
    let late = false;
    const watchdog = setTimeout(() => {
      late = true;
      call.cancel();
    }, host.timings.snapshotTimeoutMs);
    const abort = (): void => call.cancel();
    signal.addEventListener('abort', abort, { once: true });
    const settle = (outcome: () => void): void => {
      clearTimeout(watchdog);
      signal.removeEventListener('abort', abort);
      outcome();
    };
    call.on('data', ({ data }: ReadSnapshotResponse) => {
      watchdog.refresh();
      left -= data.length;
      if (left < 0) {
        settle(() =>
          reject(new RaftGrpcError('malformed', `${doing}: the peer sent more than was asked for`)),
        );
        call.cancel();
        return;
      }
      take(data);
    });
    call.on('end', () => settle(resolve));
    call.on('error', (error: ServiceError) => {
      settle(() =>
        reject(
          late
            ? new RaftGrpcError(
                'unavailable',
                `${doing}: nothing came for ${host.timings.snapshotTimeoutMs} ms`,
                error,
              )
            : asError(error, signal, doing),
        ),
      );
    });
  });
}

function join(pieces: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const whole = new Uint8Array(sizeBytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function deadline(timeoutMs: number): CallOptions {
  return { deadline: Date.now() + timeoutMs };
}

function throwIfAborted(signal: AbortSignal, doing: string): void {
  if (signal.aborted) throw new RaftGrpcError('aborted', `${doing}: given up by the caller`, signal.reason);
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, delayMs);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}

const codes: Readonly<Partial<Record<status, RaftGrpcErrorCode>>> = {
  [status.NOT_FOUND]: 'snapshotNotFound',
  [status.FAILED_PRECONDITION]: 'refused',
  [status.PERMISSION_DENIED]: 'refused',
  [status.UNAUTHENTICATED]: 'refused',
  [status.INVALID_ARGUMENT]: 'refused',
};

function asError(error: ServiceError, signal: AbortSignal, doing: string): RaftGrpcError {
  if (signal.aborted) return new RaftGrpcError('aborted', `${doing}: given up by the caller`, signal.reason);
  return callError(error, doing);
}

/** What a peer's status means. */
export function callError(error: ServiceError, doing: string): RaftGrpcError {
  return new RaftGrpcError(codes[error.code] ?? 'unavailable', `${doing}: ${error.details}`, error);
}
