/** What a {@link RaftNode} is made of, and its limits. */
import type { RaftEventSink } from '../core/events.ts';
import { isLocalTarget } from '../core/message.ts';
import type { NodeId } from '../core/types.ts';
import { RaftError } from './errors.ts';
import type { Clock, LogStore, Member, SnapshotStore, StateMachine, Transport } from './interfaces.ts';
import { checkMember } from './member-directory.ts';
import { entropySeed, systemClock } from './system-clock.ts';

const MIB = 1024 * 1024;
/** Timers take no more. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/** How linearizable reads are confirmed (thesis 6.4). */
export type ReadOnlyOption = 'safe' | 'leaseBased';

/**
 * Everything a node is started with. Sizes are in bytes, times in milliseconds (at most 2^31 - 1) unless they say ticks;
 * all but times are whole numbers.
 */
export interface RaftNodeOptions<Result> {
  /** This node's id, at least 1. Must never be used again after its stores were wiped: its votes would be forgotten. */
  readonly id: NodeId;
  /** Where entries, term and vote are kept. Not open yet: the node opens and closes it, and owns it in between. */
  readonly logStore: LogStore;
  /** Where snapshots are kept; as for `logStore`. */
  readonly snapshotStore: SnapshotStore;
  /** With nothing applied yet: a snapshot and the log after it are replayed into it. */
  readonly stateMachine: StateMachine<Result>;
  /** How the other members are reached. Not started yet: the node starts and stops it. */
  readonly transport: Transport;
  /** Default: real time. */
  readonly clock?: Clock;
  /** Decides election timeouts. Default: from the system's entropy. */
  readonly randomSeed?: number;
  /**
   * The founding members, the same list on each of them. Used only where both stores are empty; a node that joins an
   * existing group is started without it and added by `addLearner`.
   */
  readonly bootstrap?: { readonly members: readonly Member[]; readonly learners?: readonly NodeId[] };
  /** Where peers may be reached before the log says so; a joining node needs the present leader among them. */
  readonly initialPeers?: readonly Member[];

  /** Milliseconds. Default 100. */
  readonly tickIntervalMs?: number;
  /**
   * Ticks without a leader before an election: between this and twice this, at random (paper, 5.2). More than
   * `heartbeatTicks`. Default 10.
   */
  readonly electionTicks?: number;
  /** Ticks between a leader's heartbeats. Default 1. */
  readonly heartbeatTicks?: number;
  /**
   * `safe` asks a quorum for every batch of reads. `leaseBased` lets a leader answer for as long as a quorum it heard
   * from cannot have elected another one; it assumes that the members' clocks run at nearly the same rate. Default `safe`.
   */
  readonly readOnlyOption?: ReadOnlyOption;

  /** Data of one proposal, in bytes. Default 16 MiB. */
  readonly proposalMaxBytes?: number;
  /**
   * Proposals of this node that have no outcome yet: their data and 512 bytes for each; more are refused with
   * `overloaded`, but never the only one. Default 64 MiB.
   */
  readonly pendingProposalsMaxBytes?: number;
  /** Linearizable reads of this node that have no answer yet; more are refused with `overloaded`. Default 100,000. */
  readonly pendingReadsMax?: number;
  /** Entries in one append message; a single larger entry still travels alone. Default 1 MiB. */
  readonly messageMaxBytes?: number;
  /**
   * How long news of nothing but a higher commit index waits for entries that it can travel with, where it is news of
   * at most 64 entries; of more it waits a fifth of that, and of fewer twice as long while entries keep coming in
   * time. So much later a follower applies the last entries of a burst, unless a linearizable read waits for them.
   * Milliseconds, default 10; 0 sends it at once.
   */
  readonly commitNoticeDelayMs?: number;
  /** Append messages in flight to one follower. Default 256. */
  readonly inflightMaxMessages?: number;
  /** Bytes of append messages in flight to one follower. Default 16 MiB. */
  readonly inflightMaxBytes?: number;
  /**
   * Received messages that wait for their turn, a quarter of it for those without entries; more are dropped, as a
   * network would. Default 64 MiB.
   */
  readonly inboxMaxBytes?: number;
  /** Committed entries handed to the state machine at once, in bytes. Default 4 MiB. */
  readonly applyMaxBytes?: number;
  /** Entries applied before other work gets its turn. Default 2048. */
  readonly applyMaxEntries?: number;

  /** Entries applied since the last snapshot that cause the next. Default 100,000. */
  readonly snapshotIntervalEntries?: number;
  /** Bytes applied since the last snapshot that cause the next. Default 64 MiB. */
  readonly snapshotIntervalBytes?: number;
  /** Entries kept in the log behind the newest snapshot, so that slow followers need none. Default 10,000. */
  readonly logRetentionEntries?: number;
  /** Entries kept at most while a follower is loading a snapshot. Default ten times `logRetentionEntries`. */
  readonly logRetentionMaxEntries?: number;
  /** How long a follower may be silent about a snapshot before it is sent another. Milliseconds, default 30,000. */
  readonly snapshotTimeoutMs?: number;

  /** A learner that lacks at most so many committed entries may be promoted. Default 100. */
  readonly promotionMaxLagEntries?: number;
  /**
   * A leader whose disk takes longer for one append, compaction or other work on the log hands leadership over.
   * Milliseconds, default 10 ticks; 0 never.
   */
  readonly diskStallMs?: number;
  /** A proposal without an outcome after so long fails with `outcomeUnknown`. Milliseconds, default 30,000; 0 never. */
  readonly proposalTimeoutMs?: number;
  /** A read not confirmed after so long fails with `readTimeout`. Milliseconds, default 5,000. */
  readonly readTimeoutMs?: number;
  /** How long `stop` tries to hand leadership over. Milliseconds, default two election timeouts. */
  readonly stopHandoverMs?: number;
  /**
   * How long `stop` waits for writes under way, and for the transport and the stores to close, before it resolves
   * without them. Milliseconds, default 10,000.
   */
  readonly stopTimeoutMs?: number;

  /** Receives every decision of the core, for logs and tests. Costs an object for each, so none by default. */
  readonly onCoreEvent?: RaftEventSink;
}

type Defaulted = Omit<RaftNodeOptions<never>, 'stateMachine' | 'bootstrap' | 'initialPeers' | 'onCoreEvent'>;

/** The options with every default filled in. */
export type ResolvedOptions<Result> = Required<Defaulted> &
  Pick<RaftNodeOptions<Result>, 'stateMachine' | 'bootstrap' | 'initialPeers' | 'onCoreEvent'>;

const MINIMA = {
  id: 1,
  tickIntervalMs: 1,
  electionTicks: 2,
  heartbeatTicks: 1,
  proposalMaxBytes: 1,
  pendingProposalsMaxBytes: 1,
  pendingReadsMax: 1,
  messageMaxBytes: 1,
  commitNoticeDelayMs: 0,
  inflightMaxMessages: 1,
  inflightMaxBytes: 1,
  inboxMaxBytes: 1,
  applyMaxBytes: 1,
  applyMaxEntries: 1,
  snapshotIntervalEntries: 1,
  snapshotIntervalBytes: 1,
  logRetentionEntries: 0,
  logRetentionMaxEntries: 0,
  snapshotTimeoutMs: 1,
  promotionMaxLagEntries: 0,
  diskStallMs: 0,
  proposalTimeoutMs: 0,
  readTimeoutMs: 1,
  stopHandoverMs: 0,
  stopTimeoutMs: 1,
} as const satisfies Partial<Record<keyof Defaulted, number>>;

/** Fills in defaults and checks ranges; fails with `invalidArgument`. */
export function resolveOptions<Result>(options: RaftNodeOptions<Result>): ResolvedOptions<Result> {
  const tickIntervalMs = options.tickIntervalMs ?? 100;
  const electionTicks = options.electionTicks ?? 10;
  const logRetentionEntries = options.logRetentionEntries ?? 10_000;
  const messageMaxBytes = options.messageMaxBytes ?? MIB;
  const resolved: ResolvedOptions<Result> = {
    ...options,
    clock: options.clock ?? systemClock,
    randomSeed: options.randomSeed ?? entropySeed(),
    tickIntervalMs,
    electionTicks,
    heartbeatTicks: options.heartbeatTicks ?? 1,
    readOnlyOption: options.readOnlyOption ?? 'safe',
    proposalMaxBytes: options.proposalMaxBytes ?? 16 * MIB,
    pendingProposalsMaxBytes: options.pendingProposalsMaxBytes ?? 64 * MIB,
    pendingReadsMax: options.pendingReadsMax ?? 100_000,
    messageMaxBytes,
    commitNoticeDelayMs: options.commitNoticeDelayMs ?? 10,
    inflightMaxMessages: options.inflightMaxMessages ?? 256,
    inflightMaxBytes: options.inflightMaxBytes ?? Math.max(16 * MIB, messageMaxBytes),
    inboxMaxBytes: options.inboxMaxBytes ?? 64 * MIB,
    applyMaxBytes: options.applyMaxBytes ?? 4 * MIB,
    applyMaxEntries: options.applyMaxEntries ?? 2048,
    snapshotIntervalEntries: options.snapshotIntervalEntries ?? 100_000,
    snapshotIntervalBytes: options.snapshotIntervalBytes ?? 64 * MIB,
    logRetentionEntries,
    logRetentionMaxEntries: options.logRetentionMaxEntries ?? 10 * logRetentionEntries,
    snapshotTimeoutMs: options.snapshotTimeoutMs ?? 30_000,
    promotionMaxLagEntries: options.promotionMaxLagEntries ?? 100,
    diskStallMs: options.diskStallMs ?? 10 * tickIntervalMs,
    proposalTimeoutMs: options.proposalTimeoutMs ?? 30_000,
    readTimeoutMs: options.readTimeoutMs ?? 5_000,
    stopHandoverMs: options.stopHandoverMs ?? 2 * electionTicks * tickIntervalMs,
    stopTimeoutMs: options.stopTimeoutMs ?? 10_000,
  };
  checkRanges(resolved);
  return resolved;
}

function checkRanges<Result>(options: ResolvedOptions<Result>): void {
  const numbers = Object.entries(MINIMA) as [keyof typeof MINIMA, number][];
  for (const [name, minimum] of numbers) {
    const value = options[name];
    if (!(value >= minimum)) {
      throw new RaftError('invalidArgument', `option ${name}: ${value} is below the minimum of ${minimum}`);
    }
    const isTime = name.endsWith('Ms');
    if (isTime && value > TIMER_MAX_MS)
      throw new RaftError(
        'invalidArgument',
        `option ${name}: ${value} is above the maximum of ${TIMER_MAX_MS}`,
      );
    if (!isTime && !Number.isSafeInteger(value))
      throw new RaftError('invalidArgument', `option ${name}: ${value} is not a safe integer`);
  }
  if (isLocalTarget(options.id))
    throw new RaftError('invalidArgument', `option id: ${options.id} is reserved, use one below 2^53 - 2`);
  if (options.readOnlyOption !== 'safe' && options.readOnlyOption !== 'leaseBased') {
    throw new RaftError(
      'invalidArgument',
      `option readOnlyOption: it must be safe or leaseBased, not ${String(options.readOnlyOption)}`,
    );
  }
  if (options.electionTicks <= options.heartbeatTicks) {
    throw new RaftError('invalidArgument', 'option electionTicks: it must be more than heartbeatTicks');
  }
  if (options.inflightMaxBytes < options.messageMaxBytes) {
    throw new RaftError('invalidArgument', 'option inflightMaxBytes: it must be at least messageMaxBytes');
  }
  if (options.logRetentionMaxEntries < options.logRetentionEntries) {
    throw new RaftError(
      'invalidArgument',
      'option logRetentionMaxEntries: it must be at least logRetentionEntries',
    );
  }
  if (options.bootstrap !== undefined) checkFounders(options.bootstrap);
  for (const peer of options.initialPeers ?? []) checkMember(peer);
}

function checkFounders({
  members,
  learners = [],
}: {
  members: readonly Member[];
  learners?: readonly NodeId[];
}): void {
  for (const member of members) checkMember(member);
  const ids = new Set(members.map((member) => member.id));
  if (ids.size !== members.length)
    throw new RaftError('invalidArgument', 'option bootstrap: a member is listed twice');
  for (const id of learners) {
    if (!ids.has(id))
      throw new RaftError('invalidArgument', `option bootstrap: learner ${id} is not among the members`);
  }
  if (new Set(learners).size >= ids.size) {
    throw new RaftError('invalidArgument', 'option bootstrap: at least one founding member must be a voter');
  }
}
