/**
 * The four interfaces and the clock that a {@link RaftNode} is built from. Implement them to embed Raft over your own
 * disk, network and state; `@pact-journal/raft-core/testing` has in-memory ones and the suites that yours must pass.
 */
import type {
  ConfState,
  Entry,
  HardState,
  LogIndex,
  Message,
  NodeId,
  SnapshotMetadata,
  Term,
} from '../core/types.ts';

/** A member's identity and where it is reached. */
export interface Member {
  /** Its node id. Never used again once it was removed or wiped. */
  readonly id: NodeId;
  /** Where its Transport listens, for example `10.0.0.1:9444`. Opaque to raft-core. */
  readonly address: string;
  /** Opaque facts that others need about it (for example its client address), at most 4 KiB in all. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Snapshot metadata as the runtime stores it: the core's, plus who the members are and where. */
export interface SnapshotMeta extends SnapshotMetadata {
  /** Directory of all members at `index`, sorted by id. */
  readonly members: readonly Member[];
}

// ---------------------------------------------------------------------------------------------------------------
// LogStore

/** What a LogStore found when it was opened. */
export interface LogStoreState {
  /** The persisted vote and the last known commit index. `commit` is a hint and may lag; never beyond the log. */
  readonly hardState: HardState;
  /** Index and term of the entry just before the first one held (the compaction point); 0 and 0 for a whole log. */
  readonly compactedIndex: LogIndex;
  /** Term of the entry at `compactedIndex`. */
  readonly compactedTerm: Term;
  /** Index of the last entry; the compacted index when there is none. */
  readonly lastIndex: LogIndex;
}

/** One durable append. */
export interface LogAppend {
  /** Contiguous. If the first index is not after the last one held, the suffix from it on is replaced (log conflict). */
  readonly entries: readonly Entry[];
  /** Present when term or vote changed (must be durable) or commit moved (a hint: need not be synced by itself). */
  readonly hardState: HardState | undefined;
  /** False when only the commit index moved. */
  readonly mustSync: boolean;
}

/**
 * The replicated log and the vote. Calls to `append`, `compact` and `reset` are never made concurrently; the
 * synchronous readers may be called at any time, also while an append is under way, and then see the log from before
 * or after it (the core asks only for what was appended before).
 *
 * Any rejected promise is fatal for the node: nothing is retried (an fsync that failed once must not be repeated).
 */
export interface LogStore {
  /** Takes ownership (lock), recovers, and returns what is there. Fails on damage rather than dropping committed data. */
  open(): Promise<LogStoreState>;
  /** Durable when the promise resolves: entries, and term and vote if given. */
  append(batch: LogAppend): Promise<void>;
  /** First index that `entries` can return: `compactedIndex + 1`. */
  firstIndex(): LogIndex;
  /** Index of the last entry appended, durable or being made so; the compacted index when there is none. */
  lastIndex(): LogIndex;
  /** Term at `index` in `[firstIndex() - 1, lastIndex()]`. Throws core's `StorageError` otherwise. */
  term(index: LogIndex): Term;
  /**
   * Entries in `[low, high)`: at least one, then while their data fits in `maxSizeBytes`. Synchronous, because the
   * core is: an implementation on disk keeps a tail in memory and reads older entries in bounded slices.
   */
  entries(low: LogIndex, high: LogIndex, maxSizeBytes: number): readonly Entry[];
  /** Drops entries up to and including `index`, which a snapshot covers. Crash-safe at every step. */
  compact(index: LogIndex): Promise<void>;
  /** Replaces the whole log by nothing, positioned after an installed snapshot. Durable when resolved. */
  reset(index: LogIndex, term: Term, hardState: HardState): Promise<void>;
  /** Releases the lock. Idempotent. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------
// Snapshots

/**
 * A part of a state machine's snapshot: an ordered sequence of records (each a byte string without newline).
 * A `sealed` section's content never changes again for the same `key`, so a store keeps it once, by content, and
 * later snapshots share it; an open one is written with every snapshot.
 */
export interface SnapshotSection {
  /** Unique within a snapshot, stable between snapshots, for example `entries/0000004096`. At most 512 bytes. */
  readonly key: string;
  /** True when a section of this key will have the same records in every later snapshot: it is stored once. */
  readonly sealed: boolean;
  /** May be called more than once, and much later than `StateMachine.snapshot`, with the same outcome. Lazy. */
  records(): Iterable<Uint8Array>;
}

/** A consistent picture of a state machine. Taking it is cheap; reading it is lazy. */
export interface SnapshotContent {
  /** All of the state, in this order. */
  readonly sections: readonly SnapshotSection[];
  /** Called when the content is no longer needed. */
  release(): void;
}

/** What identifies a piece of a stored snapshot: content-addressed, so that a receiver fetches only what it lacks. */
export interface SnapshotChunkRef {
  /** Lower-case hex SHA-256 of the stored bytes. */
  readonly sha256: string;
  /** Length of the stored bytes. */
  readonly sizeBytes: number;
}

/** A snapshot at rest. */
export interface StoredSnapshot {
  /** What it is of. */
  readonly meta: SnapshotMeta;
  /** The store's own description of the snapshot, itself content-addressed; lists the chunks it needs. */
  readonly manifest: SnapshotChunkRef;
  /** What it consists of. */
  readonly chunks: readonly SnapshotChunkRef[];
}

/** Where a receiver pulls a peer's snapshot from. Reads are ranged, so a broken transfer goes on where it stopped. */
export interface SnapshotSource {
  /** Bytes `[offset, offset + maxBytes)` of the chunk or manifest; fewer only at its end. */
  read(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array>;
}

/** Snapshots of the state machine. */
export interface SnapshotStore {
  /** Called once, after `LogStore.open`. Verifies and returns the newest usable snapshot. */
  open(): Promise<StoredSnapshot | undefined>;
  /** The newest durable snapshot. Synchronous: the core asks for it while building messages. */
  latest(): StoredSnapshot | undefined;
  /** Writes a snapshot without blocking the event loop for long. Durable when resolved. Keeps a bounded history. */
  save(meta: SnapshotMeta, content: SnapshotContent): Promise<StoredSnapshot>;
  /**
   * Pulls a peer's snapshot, chunk by chunk, in bounded memory, verifying each; chunks already here are not fetched,
   * partial ones are resumed. Durable and complete when resolved, but not yet `latest`.
   */
  receive(stored: StoredSnapshot, source: SnapshotSource, signal: AbortSignal): Promise<void>;
  /** Makes a received snapshot `latest`. Atomic. */
  install(stored: StoredSnapshot): Promise<void>;
  /**
   * Reads a stored snapshot back, sections in their saved order, in bounded memory. A record is valid until the next one
   * is asked for: whoever keeps it copies it.
   */
  load(
    stored: StoredSnapshot,
  ): AsyncIterable<{ readonly key: string; readonly records: AsyncIterable<Uint8Array> }>;
  /** Serves ranged reads of chunks and manifests to peers. Rejects for an unknown hash. */
  read(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array>;
  /** Releases what is held. Idempotent. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------
// StateMachine

/** The replicated state. `apply` is deterministic: the same entries in the same order give the same state and results. */
export interface StateMachine<Result> {
  /**
   * Applies committed entries (only `normal` ones with data), in order, synchronously, and returns a result for each.
   * Batches are bounded by the runtime. Throwing is fatal for this node.
   */
  apply(entries: readonly Entry[]): readonly Result[];
  /** Captures the state after the last applied entry. Must be cheap; must not be disturbed by later `apply` calls. */
  snapshot(): SnapshotContent;
  /** Replaces the state by a stored one. */
  restore(
    sections: AsyncIterable<{ readonly key: string; readonly records: AsyncIterable<Uint8Array> }>,
  ): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------
// Transport

/** Committed entries, for a member that has lost them. */
export interface CommittedEntries {
  /** From the first on that was asked for, without a gap; none where that is compacted or not committed. */
  readonly entries: readonly Entry[];
  /** Everything up to here is committed. */
  readonly commitIndex: LogIndex;
  /** A quorum has confirmed, since it was asked for, that nothing beyond `commitIndex` had been committed before. */
  readonly confirmed: boolean;
  /** The newest snapshot, which `describeSnapshot` knows from now on. */
  readonly snapshot: StoredSnapshot | undefined;
}

/** What a transport delivers to its node. */
export interface TransportHandler {
  /** Messages from `from`, in the order in which they were sent on one connection. Loss and duplication are allowed. */
  receive(from: NodeId, messages: readonly Message[]): void;
  /** A peer could not be reached, or a connection broke: messages may be lost. */
  unreachable(peer: NodeId): void;
  /** A peer wants to read a chunk of one of our snapshots. */
  readSnapshot(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array>;
  /** The stored snapshot that a `MsgSnap` with this index and term refers to, described for the peer. */
  describeSnapshot(index: LogIndex, term: Term): StoredSnapshot | undefined;
  /**
   * Entries `from` to `to`, both included, as far as they are committed, here and not more than `maxBytes` of data (at
   * least one all the same). For repairs: takes a round of heartbeats.
   */
  readCommitted(from: LogIndex, to: LogIndex, maxBytes: number): Promise<CommittedEntries>;
}

/** Counters towards one peer, since the transport was started. */
export interface TransportPeerStats {
  /** True while messages can leave for it. */
  readonly connected: boolean;
  /** Waiting to be sent, in bytes. */
  readonly queuedBytes: number;
  /** Messages handed to the network since the start. */
  readonly sentMessages: number;
  /** Their bytes. */
  readonly sentBytes: number;
  /** Messages that found the queue full or the connection broken. */
  readonly droppedMessages: number;
  /** Connections made after the first one. */
  readonly reconnects: number;
}

/** How nodes talk. Best effort: Raft tolerates loss, delay, duplication and reordering, but not corruption. */
export interface Transport {
  /** Begins to receive; resolves when peers can connect. Rejects where it cannot listen, and is not called again then. */
  start(handler: TransportHandler): Promise<void>;
  /** Who can be reached, and where. Called at start and whenever the membership changes. */
  setPeers(peers: readonly Member[]): void;
  /** Queues messages to one peer; never blocks, never throws. Over the queue's limit in bytes, messages are dropped. */
  send(to: NodeId, messages: readonly Message[]): void;
  /** Asks `from` which stored snapshot its `MsgSnap` meant, and how to read it. */
  fetchSnapshot(
    from: NodeId,
    index: LogIndex,
    term: Term,
    signal: AbortSignal,
  ): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource }>;
  /** What went to one peer since the start; undefined where the transport does not know the peer or does not count. */
  stats(peer: NodeId): TransportPeerStats | undefined;
  /** Sends what is queued as far as it can, then closes everything; nothing is received after it resolves. */
  stop(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------------------
// Clock

/** Time and scheduling, so that a simulator can own both. */
export interface Clock {
  /** Monotonic milliseconds. Never goes back; unrelated to the time of day. */
  now(): number;
  /** Calls back once after at least `delayMs`. Returns how to cancel it. */
  setTimer(delayMs: number, callback: () => void): () => void;
  /** Calls back soon, after the current work and pending I/O (like `setImmediate`). */
  defer(callback: () => void): void;
}

export type { ConfState };
