/** The errors of the runtime: one class, one closed set of codes, recognisable across duplicate installs. */
import type { Member } from './interfaces.ts';
import type { NodeId } from '../core/types.ts';

/**
 * Why an operation failed.
 *
 * - `invalidArgument`: the call is wrong whatever the state of the group (empty data, an option out of range)
 * - `notLeader`: this node does not lead; see {@link NotLeaderError} for who does
 * - `overloaded`: a limit is reached, see {@link OverloadedError}; nothing was queued, try again after a pause
 * - `notCommitted`: the proposal certainly is not and never will be committed
 * - `outcomeUnknown`: the proposal may or may not be, or still become, committed
 * - `membershipPending`: another membership change is under way, or the leader has not committed in its term yet
 * - `membershipInvalid`: the change makes no sense for the present membership
 * - `quorumWouldBeLost`: after the change, the members that respond would not form a majority
 * - `learnerNotCaughtUp`: the learner lags too far behind to be promoted
 * - `transferInProgress`: leadership is being handed over; proposals are refused meanwhile
 * - `transferTimeout`: leadership was not taken over by the deadline; this node still leads
 * - `readTimeout`: no quorum confirmed the read in time
 * - `stopped`: the node was stopped
 * - `storageFailed`: a LogStore or SnapshotStore failed; this instance has stopped for good
 * - `stateMachineFailed`: the state machine threw; this instance has stopped for good
 * - `transportFailed`: the transport could not be started
 * - `damaged`: what the stores hold contradicts itself; the node refuses to start
 * - `invariantViolated`: an assertion of Raft failed; this instance has stopped for good
 */
export type RaftErrorCode =
  | 'invalidArgument'
  | 'notLeader'
  | 'overloaded'
  | 'notCommitted'
  | 'outcomeUnknown'
  | 'membershipPending'
  | 'membershipInvalid'
  | 'quorumWouldBeLost'
  | 'learnerNotCaughtUp'
  | 'transferInProgress'
  | 'transferTimeout'
  | 'readTimeout'
  | 'stopped'
  | 'storageFailed'
  | 'stateMachineFailed'
  | 'transportFailed'
  | 'damaged'
  | 'invariantViolated';

const RAFT_ERROR = Symbol.for('@pact-journal/raft-core/RaftError');

/** An operating error of a {@link RaftNode}. Recognise it with {@link isRaftError}, not with `instanceof`. */
export class RaftError extends Error {
  /** What to recognise it by: copies of this package may each have a class of their own. */
  override readonly name: string = 'RaftError';
  /** What went wrong, for programs. */
  readonly code: RaftErrorCode;

  constructor(code: RaftErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    Object.defineProperty(this, RAFT_ERROR, { value: true });
  }

  /**
   * What a proposer knows about its proposal: `notCommitted` for every code but `outcomeUnknown`. Only after
   * `notCommitted` is it safe to propose the same change again without a request id of one's own.
   */
  get outcome(): 'notCommitted' | 'unknown' {
    return this.code === 'outcomeUnknown' ? 'unknown' : 'notCommitted';
  }
}

/** `notLeader`, with who leads as far as this node knows. The proposal was not queued anywhere. */
export class NotLeaderError extends RaftError {
  /** What to recognise it by: copies of this package may each have a class of their own. */
  override readonly name = 'NotLeaderError';
  /** 0 while no leader is known. */
  readonly leaderId: NodeId;
  /** The leader with its address; undefined while none is known. */
  readonly leader: Member | undefined;

  constructor(leaderId: NodeId, leader: Member | undefined, doing: string) {
    super(
      'notLeader',
      leaderId === 0
        ? `${doing}: this node is not the leader and no leader is known; try again after an election`
        : `${doing}: this node is not the leader; node ${leaderId}${leader === undefined ? '' : ` at ${leader.address}`} is`,
    );
    this.leaderId = leaderId;
    this.leader = leader;
  }

  /** The leader's peer address; undefined while it is not known. */
  get leaderAddress(): string | undefined {
    return this.leader?.address;
  }
}

/** `overloaded`, with the limit that was reached. Nothing was queued. */
export class OverloadedError extends RaftError {
  /** What to recognise it by: copies of this package may each have a class of their own. */
  override readonly name = 'OverloadedError';
  /** What waits already, in `unit`. */
  readonly pending: number;
  /** What may wait at most. */
  readonly limit: number;
  /** What both are counted in. */
  readonly unit: 'bytes' | 'reads';

  constructor(doing: string, pending: number, limit: number, unit: 'bytes' | 'reads') {
    super(
      'overloaded',
      `${doing}: ${pending} ${unit} are pending and the limit is ${limit}; try again after a pause`,
    );
    this.pending = pending;
    this.limit = limit;
    this.unit = unit;
  }
}

function hasBrand(error: unknown): error is RaftError {
  return typeof error === 'object' && error !== null && RAFT_ERROR in error;
}

/** True for a {@link RaftError}, of that code where one is given, also from another copy of this package. */
export function isRaftError(error: unknown, code?: RaftErrorCode): error is RaftError {
  return hasBrand(error) && (code === undefined || error.code === code);
}

/** True for a {@link NotLeaderError}, also from another copy of this package. */
export function isNotLeaderError(error: unknown): error is NotLeaderError {
  return isRaftError(error, 'notLeader') && 'leaderId' in error;
}

/** True for an {@link OverloadedError}, also from another copy of this package. */
export function isOverloadedError(error: unknown): error is OverloadedError {
  return isRaftError(error, 'overloaded') && 'limit' in error;
}

/** Words for whatever was thrown. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
