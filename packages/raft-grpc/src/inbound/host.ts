import type {
  CommittedEntries,
  LogIndex,
  Message,
  NodeId,
  StoredSnapshot,
  Term,
} from '@pact-journal/raft-core';
import type { RefusalReason } from '../codec/decode.ts';
import type { Hello } from '../gen/raft/v1/raft.ts';
import type { ResolvedOptions } from '../options.ts';
import type { CallerRefusal } from './caller-refusal.ts';

/** What the serving side needs from its transport. */
export interface InboundHost {
  readonly options: ResolvedOptions;
  /** This node's part of a handshake. */
  hello(): Hello;
  receive(from: NodeId, messages: readonly Message[]): void;
  /** A peer has proven to be alive, and says where it is reached and what it runs. */
  peerCalled(peer: NodeId, hello: Hello): void;
  describeSnapshot(index: LogIndex, term: Term): StoredSnapshot | undefined;
  readSnapshot(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array>;
  readCommitted(from: LogIndex, to: LogIndex, maxBytes: number): Promise<CommittedEntries>;
  /** False where the limit is reached. */
  beginSnapshotRead(): boolean;
  endSnapshotRead(): void;
  /** `claimed`: which node it says it is; 0 where it says nothing. */
  callerRefused(from: string, claimed: number, kind: CallerRefusal, reason: string): void;
  messageRefused(peer: NodeId, reason: RefusalReason): void;
}
