import { createServer } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServiceDefinition,
} from '@grpc/grpc-js';
import { RaftGrpcError } from '../errors.ts';
import { RaftTransportServiceDefinition } from '../gen/raft/v1/raft.ts';
import type {
  DescribeSnapshotRequest,
  DescribeSnapshotResponse,
  ReadCommittedRequest,
  ReadCommittedResponse,
  ReadSnapshotRequest,
  ReadSnapshotResponse,
  SendResponse,
} from '../gen/raft/v1/raft.ts';
import { readCommitted } from './committed-service.ts';
import type { InboundHost } from './host.ts';
import { serveMessages } from './message-stream.ts';
import { describeSnapshot, readSnapshot } from './snapshot-service.ts';
import { widenWindows } from './windows.ts';

/** Messages come in as bytes: decoding is ours, so that a malformed one is counted and not thrown by grpc-js. */
const definition = {
  ...RaftTransportServiceDefinition,
  send: { ...RaftTransportServiceDefinition.send, requestDeserialize: (bytes: Buffer): Buffer => bytes },
} satisfies ServiceDefinition;

/** A server for peers that listens. */
export interface PeerServer {
  /** The port that is bound. */
  readonly port: number;
  /** Ends all calls and connections at once. */
  shutDown(): void;
}

/** Listens. Fails with `addressInUse` or `listenFailed`. */
export async function listen(host: InboundHost): Promise<PeerServer> {
  const { options } = host;
  await probe(options.listen);
  const server = new Server({
    'grpc.max_receive_message_length': options.limits.maxFrameBytes,
    'grpc.max_send_message_length': options.limits.maxFrameBytes,
    'grpc.keepalive_time_ms': options.timings.keepaliveMs,
    'grpc.keepalive_timeout_ms': options.timings.keepaliveTimeoutMs,
    'grpc-node.max_session_memory': options.limits.maxSessionMemoryMib,
    'grpc.max_concurrent_streams': 64,
  });
  const send: handleBidiStreamingCall<Buffer, SendResponse> = (call) => serveMessages(call, host);
  const describe: handleUnaryCall<DescribeSnapshotRequest, DescribeSnapshotResponse> = (call, callback) =>
    describeSnapshot(call, callback, host);
  const read: handleServerStreamingCall<ReadSnapshotRequest, ReadSnapshotResponse> = (call) =>
    void readSnapshot(call, host);
  const committed: handleUnaryCall<ReadCommittedRequest, ReadCommittedResponse> = (call, callback) =>
    void readCommitted(call, callback, host);
  server.addService(definition, {
    send,
    describeSnapshot: describe,
    readSnapshot: read,
    readCommitted: committed,
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      options.listen,
      options.serverCredentials ?? ServerCredentials.createInsecure(),
      (error, bound) => {
        if (error === null) resolve(bound);
        else reject(listenError(options.listen, error));
      },
    );
  });
  const leaveWindows = widenWindows(port, options.limits.windowBytes);
  return {
    port,
    shutDown: () => {
      leaveWindows();
      server.forceShutdown();
    },
  };
}

/**
 * Binds the port once and lets go of it: unlike grpc-js, which only tells that it could not, and tells it on stderr too,
 * Node says why.
 */
async function probe(address: string): Promise<void> {
  const at = address.lastIndexOf(':');
  const [host, port] = [address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), Number(address.slice(at + 1))];
  if (port === 0) return;
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(address, error)));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

function listenError(address: string, cause: Error): RaftGrpcError {
  if (cause.message.includes('EADDRINUSE')) {
    const port = address.slice(address.lastIndexOf(':') + 1);
    return new RaftGrpcError(
      'addressInUse',
      `listening for Raft peers on ${address}: port ${port} is taken by another process; stop it or choose another port`,
      cause,
    );
  }
  return new RaftGrpcError('listenFailed', `listening for Raft peers on ${address}: ${cause.message}`, cause);
}
