import type { ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { NodeId } from '@pact-journal/raft-core';
import type { Hello } from '../gen/raft/v1/raft.ts';
import type { ResolvedOptions } from '../options.ts';
import type { CallerRefusal } from './caller-refusal.ts';
import { findVersionMismatch } from './version-rule.ts';

/** Why a caller is not let in. */
export interface HandshakeRefusal {
  readonly kind: CallerRefusal;
  readonly code: status;
  readonly reason: string;
}

type AnyCall =
  | ServerDuplexStream<Buffer, unknown>
  | ServerUnaryCall<unknown, unknown>
  | ServerWritableStream<unknown, unknown>;

/** Who is calling; or a refusal that says what does not fit. `own` is this node's part of a handshake. */
export function checkHello(
  call: AnyCall,
  hello: Hello | undefined,
  own: Hello,
  options: Pick<ResolvedOptions, 'verifyPeer'>,
): NodeId | HandshakeRefusal {
  if (hello === undefined) {
    const reason = 'the first thing on a stream must be the handshake';
    return { kind: 'handshake', code: status.INVALID_ARGUMENT, reason };
  }
  const mismatch = findMismatch(hello, own);
  if (mismatch !== undefined) return { ...mismatch, code: status.FAILED_PRECONDITION };
  const nodeId = hello.nodeId as NodeId;
  const denial = options.verifyPeer?.({ nodeId, ...certificateOf(call) });
  return denial === undefined ? nodeId : { kind: 'identity', code: status.PERMISSION_DENIED, reason: denial };
}

function findMismatch(hello: Hello, own: Hello): Omit<HandshakeRefusal, 'code'> | undefined {
  const { nodeId: id, clusterId } = own;
  if (hello.clusterId !== clusterId) {
    const reason = `this is node ${id} of cluster "${clusterId}"; node ${hello.nodeId} belongs to cluster "${hello.clusterId.slice(0, 128)}"`;
    return { kind: 'cluster', reason };
  }
  const versions = findVersionMismatch(own, hello);
  if (versions !== undefined) return { kind: 'version', reason: versions };
  const misdirected = findWrongNode(hello, id);
  return misdirected === undefined ? undefined : { kind: 'node', reason: misdirected };
}

function findWrongNode(hello: Hello, id: number): string | undefined {
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
