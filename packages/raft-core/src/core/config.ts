import { RaftCoreError } from './errors.ts';
import type { RaftEventSink } from './events.ts';
import { NO_INDEX } from './ids.ts';
import { NO_LIMIT } from './log/entry-size.ts';
import type { Random } from './random.ts';
import type { LogIndex, NodeId, Storage } from './types.ts';
import { NO_NODE } from './types.ts';
import { isLocalTarget } from './message.ts';

/**
 * How reads are made linearizable (thesis 6.4).
 *
 * - `safe`: a quorum confirms the leadership after the read arrived. Needs no clocks.
 * - `leaseBased`: the leader answers at once, as long as its quorum check lets it lead. Correct only while ticks pass at
 *   nearly the same rate everywhere and the process never stands still. Needs `checkQuorum`. With `safeguards` the
 *   leader also has to hold a lease: see there.
 */
export type ReadOnlyOption = 'safe' | 'leaseBased';

/** Options of a {@link RawNode}. */
export interface RawNodeConfig {
  /** This node's identity, from 1. Unique in the group for all time: a node that lost its disk needs a new one. */
  readonly id: NodeId;
  /** Log and hard state as persisted, and the newest snapshot. */
  readonly storage: Storage;
  /** Spreads election timeouts. Nodes of a group should be seeded differently. */
  readonly random: Random;
  /**
   * Ticks without a word from a leader after which a follower campaigns: between this and twice this, at random
   * (paper, 5.2). Above `heartbeatTick`; ten times it is a good choice. Default 10.
   */
  readonly electionTick?: number;
  /** Ticks between two heartbeats of a leader, from 1. Default 1. */
  readonly heartbeatTick?: number;
  /**
   * Highest index that the application's state already contains; committed entries up to it are not handed out again.
   * 0 for an empty state. At least the compacted index of the storage, at most its commit index. Default 0.
   */
  readonly applied?: LogIndex;
  /** Hands writes to two local threads by messages instead of `advance`; see {@link RawNode}. Default false. */
  readonly asyncStorageWrites?: boolean;
  /** Limit on one append message, in bytes of {@link entrySize}; 0 for one entry a message. Default 1 MiB. */
  readonly maxSizePerMsgBytes?: number;
  /**
   * Limit on committed entries handed out and not applied yet, in bytes. At least one entry always goes out.
   * Default: `maxSizePerMsgBytes`.
   */
  readonly maxCommittedSizePerReadyBytes?: number;
  /**
   * Limit on payload bytes that a leader has appended but not seen applied; proposals beyond it are dropped. 0 for no
   * limit. Default 0.
   */
  readonly maxUncommittedEntriesSizeBytes?: number;
  /** Limit on unanswered appends to one follower, from 1. Default 256. */
  readonly maxInflightMessages?: number;
  /** Limit on their payload bytes, not below `maxSizePerMsgBytes`; 0 for no limit. Default 0. */
  readonly maxInflightBytes?: number;
  /** A leader that hears from no quorum for an election timeout steps down (thesis 6.2). Default false. */
  readonly checkQuorum?: boolean;
  /** Candidates ask whether they could win before they raise the term (thesis 9.6). Default false. */
  readonly preVote?: boolean;
  /** Default `safe`. */
  readonly readOnlyOption?: ReadOnlyOption;
  /** Followers drop proposals instead of forwarding them to the leader. Default false. */
  readonly disableProposalForwarding?: boolean;
  /**
   * Appends membership changes that do not fit the active configuration. Only for callers who check them against the
   * configuration they will be applied to; an invalid one fails when it is applied. Default false.
   */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that is removed or demoted steps down as soon as it applies that. Default false. */
  readonly stepDownOnRemoval?: boolean;
  /**
   * Closes gaps that etcd's library leaves to its callers, so that this node decides otherwise than etcd's would:
   *
   * - A read waits for the first commit of the leader's term in a group of one as well: the commit index that it
   *   restarted with may lag behind what it had acknowledged. Reads that wait are forgotten with the leadership.
   * - `leaseBased` reads are answered at once only within `electionTick - 2` ticks after a heartbeat was sent that a
   *   quorum answered, and neither after `voidLease` nor since a transfer of leadership began, else as in `safe`. A
   *   restarted voter grants no vote for `electionTick` ticks: it may have promised a leader not to.
   * - A restarted node takes every membership change in its log but the last for committed, whatever commit index it
   *   kept: for storage that does not sync commit indexes.
   * - A voter that rejects a candidate and could not lead itself (a demoted or removed leader with the longest log) tells
   *   it what is committed. Otherwise the two could block each other for ever.
   * - A newcomer accepts a snapshot from before it was added.
   *
   * All nodes of a group should have the same. `RaftNode` always sets it. Default false: every decision is etcd's.
   */
  readonly safeguards?: boolean;
  /** Receives every decision. */
  readonly onEvent?: RaftEventSink;
}

/** {@link RawNodeConfig} with defaults filled in. */
export type ResolvedConfig = Required<Omit<RawNodeConfig, 'onEvent'>> & {
  readonly onEvent: RaftEventSink | undefined;
};

const DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024;

/** Fills in defaults and checks ranges. Throws `RaftCoreError` `invalidConfig`. */
export function resolveConfig(config: RawNodeConfig): ResolvedConfig {
  const maxSizePerMsgBytes = config.maxSizePerMsgBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  const resolved: ResolvedConfig = {
    id: config.id,
    storage: config.storage,
    random: config.random,
    electionTick: config.electionTick ?? 10,
    heartbeatTick: config.heartbeatTick ?? 1,
    applied: config.applied ?? NO_INDEX,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    maxSizePerMsgBytes,
    maxCommittedSizePerReadyBytes: config.maxCommittedSizePerReadyBytes || maxSizePerMsgBytes,
    maxUncommittedEntriesSizeBytes: config.maxUncommittedEntriesSizeBytes || NO_LIMIT,
    maxInflightMessages: config.maxInflightMessages ?? 256,
    maxInflightBytes: config.maxInflightBytes ?? 0,
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnlyOption: config.readOnlyOption ?? 'safe',
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
    safeguards: config.safeguards ?? false,
    onEvent: config.onEvent,
  };
  validate(resolved);
  return resolved;
}

function validate(config: ResolvedConfig): void {
  if (config.id === NO_NODE || isLocalTarget(config.id)) {
    throw invalid(`id ${config.id} cannot be a node's: use an integer from 1 below 2^53 - 2`);
  }
  requireInteger('heartbeatTick', config.heartbeatTick, 1);
  requireInteger('electionTick', config.electionTick, config.heartbeatTick + 1);
  requireInteger('applied', config.applied, 0);
  requireInteger('maxSizePerMsgBytes', config.maxSizePerMsgBytes, 0);
  requireInteger('maxCommittedSizePerReadyBytes', config.maxCommittedSizePerReadyBytes, 0);
  requireInteger('maxUncommittedEntriesSizeBytes', config.maxUncommittedEntriesSizeBytes, 0);
  requireInteger('maxInflightMessages', config.maxInflightMessages, 1);
  requireInteger('maxInflightBytes', config.maxInflightBytes, 0);
  if (config.maxInflightBytes !== 0 && config.maxInflightBytes < config.maxSizePerMsgBytes) {
    throw invalid('maxInflightBytes must not be below maxSizePerMsgBytes: one message would not fit');
  }
  if (config.readOnlyOption === 'leaseBased' && !config.checkQuorum) {
    throw invalid('readOnlyOption leaseBased needs checkQuorum: without it no lease ever ends');
  }
}

function requireInteger(name: string, value: number, minimum: number): void {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw invalid(`${name} must be an integer from ${minimum}, got ${value}`);
  }
}

function invalid(problem: string): RaftCoreError {
  return new RaftCoreError('invalidConfig', `cannot start a Raft node: ${problem}`);
}
