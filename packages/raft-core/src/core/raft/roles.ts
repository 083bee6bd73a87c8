import { fail } from '../errors.ts';
import { NO_INDEX, nextTerm, shiftIndex } from '../ids.ts';
import { NO_BYTES } from '../message.ts';
import type { NodeId, Term } from '../types.ts';
import { NO_NODE } from '../types.ts';
import type { Raft } from './raft.ts';
import { ReadRounds } from './read-rounds.ts';
import { appendEntries } from './replication.ts';

/** Becomes a follower of `leader` (or of nobody yet) in `term`. */
export function becomeFollower(raft: Raft, term: Term, leader: NodeId): void {
  reset(raft, term);
  raft.leader = leader;
  raft.role = 'follower';
  roleChanged(raft);
}

/** Enters the next term with a vote for oneself (paper, 5.2). */
export function becomeCandidate(raft: Raft): void {
  if (raft.role === 'leader') fail('a leader cannot become a candidate');
  reset(raft, nextTerm(raft.term));
  raft.vote = raft.id;
  raft.role = 'candidate';
  roleChanged(raft);
}

/** Asks for votes without entering the next term: neither term nor vote change (thesis 9.6). */
export function becomePreCandidate(raft: Raft): void {
  if (raft.role === 'leader') fail('a leader cannot become a pre-candidate');
  raft.tracker.resetVotes();
  raft.leader = NO_NODE;
  raft.role = 'preCandidate';
  roleChanged(raft);
}

/** Takes office, and appends an empty entry: committing it commits everything before (paper, section 8). */
export function becomeLeader(raft: Raft): void {
  if (raft.role === 'follower') fail('a follower cannot become leader without an election');
  reset(raft, raft.term);
  raft.leader = raft.id;
  raft.role = 'leader';
  const own = raft.tracker.get(raft.id);
  if (own === undefined) fail('only a member of the configuration can become leader');
  own.becomeReplicate();
  own.recentActive = true;
  // Any of the entries not yet applied may be a membership change; waiting for all of them is simple and safe
  // (Ongaro 2015: no change before the leader has committed an entry of its own term).
  raft.pendingConfIndex = raft.log.lastIndex();
  if (appendEntries(raft, [{ type: 'normal', data: NO_BYTES }]) === undefined)
    fail('an empty entry was refused');
  roleChanged(raft);
}

function reset(raft: Raft, term: Term): void {
  if (raft.term !== term) {
    raft.term = term;
    raft.vote = NO_NODE;
  }
  raft.leader = NO_NODE;
  raft.electionElapsed = 0;
  raft.heartbeatElapsed = 0;
  raft.resetElectionTimeout();
  raft.abortTransfer();
  raft.transferSent = false;
  raft.tracker.resetVotes();
  const last = raft.log.lastIndex();
  raft.tracker.resetProgress(raft.id, last, shiftIndex(last, 1));
  raft.pendingConfIndex = NO_INDEX;
  raft.uncommittedBytes = 0;
  raft.rounds = new ReadRounds();
  // etcd's library answers them when this node leads again.
  if (raft.config.safeguards) raft.earlyReads = [];
}

function roleChanged(raft: Raft): void {
  raft.onEvent?.({ type: 'roleChanged', node: raft.id, role: raft.role, term: raft.term });
}
