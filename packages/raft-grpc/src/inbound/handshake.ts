import type { ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { NodeId } from '@pact-journal/raft-core';
import type { Hello } from '../gen/raft/v1/raft.ts';
import type { ResolvedOptions } from '../options.ts';

/** The version of raft.v1 that this package speaks. */
export const PROTOCOL_VERSION = 1;

/** Why a caller is not let in. */
export interface HandshakeRefusal {
  readonly code: status;
  readonly reason: string;
}

type AnyCall =
  | ServerDuplexStream<Buffer, unknown>
  | ServerUnaryCall<unknown, unknown>
  | ServerWritableStream<unknown, unknown>;

/** Who is calling; or a refusal that says what does not fit. */
export function checkHello(
  call: AnyCall,
  hello: Hello | undefined,
  options: ResolvedOptions,
): NodeId | HandshakeRefusal {
  if (hello === undefined) {
    return { code: status.INVALID_ARGUMENT, reason: 'the first thing on a stream must be the handshake' };
  }
  const mismatch = findMismatch(hello, options);
  if (mismatch !== undefined) return { code: status.FAILED_PRECONDITION, reason: mismatch };
  const nodeId = hello.nodeId as NodeId;
  const denial = options.verifyPeer?.({ nodeId, ...certificateOf(call) });
  return denial === undefined ? nodeId : { code: status.PERMISSION_DENIED, reason: denial };
}

function findMismatch(hello: Hello, { id, clusterId }: ResolvedOptions): string | undefined {
  if (hello.clusterId !== clusterId) {
    return `this is node ${id} of cluster "${clusterId}"; node ${hello.nodeId} belongs to cluster "${hello.clusterId.slice(0, 128)}"`;
  }
  if (hello.protocolVersion !== PROTOCOL_VERSION) {
    return `node ${id} speaks version ${PROTOCOL_VERSION} of the Raft protocol; node ${hello.nodeId} speaks ${hello.protocolVersion}`;
  }
  if (hello.toNodeId !== id) return `this is node ${id}, not node ${hello.toNodeId}`;
  if (hello.nodeId === id) return `node ${id} is this one: two nodes must not have the same id`;
  if (hello.nodeId < 1) return 'a caller must say which node it is';
  return undefined;
}

function certificateOf(call: AnyCall): {
  subjectAltName: string | undefined;
  commonName: string | undefined;
} {
  const certificate = call.getAuthContext().sslPeerCertificate;
  const commonName = certificate?.subject?.CN;
  return {
    subjectAltName: certificate?.subjectaltname,
    commonName: Array.isArray(commonName) ? commonName[0] : commonName,
  };
}
