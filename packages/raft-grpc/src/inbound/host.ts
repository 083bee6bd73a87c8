import type { LogIndex, Message, NodeId, StoredSnapshot, Term } from '@pact-journal/raft-core';
import type { RefusalReason } from '../codec/decode.ts';
import type { Hello } from '../gen/raft/v1/raft.ts';
import type { ResolvedOptions } from '../options.ts';

/** What the serving side needs from its transport. */
export interface InboundHost {
  readonly options: ResolvedOptions;
  hello(to: NodeId): Hello;
  receive(from: NodeId, messages: readonly Message[]): void;
  /** A peer has proven to be alive, and says where it is reached. */
  peerCalled(peer: NodeId, address: string): void;
  describeSnapshot(index: LogIndex, term: Term): StoredSnapshot | undefined;
  readSnapshot(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array>;
  /** False where the limit is reached. */
  beginSnapshotRead(): boolean;
  endSnapshotRead(): void;
  callerRefused(from: string, reason: string): void;
  messageRefused(peer: NodeId, reason: RefusalReason): void;
}
