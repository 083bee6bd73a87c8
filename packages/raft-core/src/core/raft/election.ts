import { fail } from '../errors.ts';
import { nextTerm, shiftIndex, toLogIndex, toTerm } from '../ids.ts';
import { newMessage, NO_BYTES } from '../message.ts';
import { voterIds } from '../tracker/configuration.ts';
import type { Message } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { decodeUints, encodeUints } from '../uint-bytes.ts';
import type { Raft } from './raft.ts';
import { broadcastAppend } from './replication.ts';
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts';

/**
 * Why a node campaigns. `transfer`: the leader asked for it (thesis 3.10), so its vote requests override the voters'
 * lease, and a pre-vote would only cost time.
 */
export type CampaignKind = 'preElection' | 'election' | 'transfer';

/** What a vote request of a leadership transfer carries. */
export const TRANSFER_CONTEXT: Uint8Array = Uint8Array.from('CampaignTransfer', (char) => char.charCodeAt(0));

/** True for a vote request that was made on the leader's behalf. */
export function isTransferRequest(message: Message): boolean {
  const { context } = message;
  return (
    context.length === TRANSFER_CONTEXT.length && context.every((byte, at) => byte === TRANSFER_CONTEXT[at])
  );
}

/** Starts an election, if this node may. */
export function startElection(raft: Raft, kind: CampaignKind): void {
  const refuse = (reason: 'alreadyLeader' | 'notPromotable' | 'unappliedConfChange'): void => {
    raft.onEvent?.({ type: 'electionRefused', node: raft.id, term: raft.term, reason });
  };
  if (raft.role === 'leader') return refuse('alreadyLeader');
  if (!raft.promotable()) return refuse('notPromotable');
  // A membership that is committed but not applied here decides who may vote; campaigning under the old one could win
  // an election that the new one would not give.
  if (hasUnappliedConfChange(raft)) return refuse('unappliedConfChange');
  raft.onEvent?.({ type: 'electionStarted', node: raft.id, term: raft.term });
  campaign(raft, kind);
}

/**
 * What a rejection carries when this node could not lead itself: up to where it knows the log to be committed.
 *
 * A leader that was demoted or removed may keep a longer log than anybody else, and with it refuse the one node that can
 * lead now, as long as that one does not know that the change is committed: it still needs this vote. Elsewhere a node
 * with the longer log is elected, and nothing needs to be told.
 */
export function commitHint(raft: Raft): Uint8Array {
  if (!raft.config.safeguards || raft.promotable()) return NO_BYTES;
  const { committed } = raft.log;
  return encodeUints(committed, raft.log.termOrZero(committed));
}

/** What is committed is so for ever, whoever says it; it says something about this log if it has the same entry. */
export function takeCommitHint(raft: Raft, message: Message): void {
  if (!raft.config.safeguards || !message.reject) return;
  const [index, term] = decodeUints(message.context, 2) ?? [];
  if (index === undefined || term === undefined || index > raft.log.lastIndex()) return;
  if (raft.role === 'leader' || !raft.log.maybeCommit(toTerm(term), toLogIndex(index))) return;
  // What is committed now may be a change of membership: a campaign must not go on while it is being applied.
  if (raft.role !== 'follower') becomeFollower(raft, raft.term, NO_NODE);
}

/** A voter answered. */
export function handleVoteAnswer(raft: Raft, message: Message): void {
  const { type, from } = message;
  const granted = !message.reject;
  raft.onEvent?.({ type: 'voteReceived', node: raft.id, from, term: raft.term, messageType: type, granted });
  raft.tracker.recordVote(from, granted);
  const tally = raft.tracker.tallyVotes();
  raft.onEvent?.({
    type: 'votesTallied',
    node: raft.id,
    messageType: type,
    granted: tally.granted,
    rejected: tally.rejected,
  });
  switch (tally.result) {
    case 'won':
      if (raft.role === 'preCandidate') {
        campaign(raft, 'election');
      } else {
        becomeLeader(raft);
        broadcastAppend(raft);
      }
      return;
    case 'lost':
      // A lost pre-vote was about the next term, which was never entered.
      becomeFollower(raft, raft.term, NO_NODE);
      return;
    case 'pending':
  }
}

/** Decides on a request for a vote or a pre-vote (paper, 5.2 and 5.4.1; thesis 9.6). */
export function handleVoteRequest(raft: Raft, message: Message): void {
  const { type, from } = message;
  const mayVote =
    // A repeat of a vote already cast,
    raft.vote === from ||
    // or no vote cast in this term, and no leader known that it would depose,
    (raft.vote === NO_NODE && raft.leader === NO_NODE) ||
    // or a pre-vote, which binds nobody, for a term to come.
    (type === 'MsgPreVote' && message.term > raft.term);
  const last = raft.log.lastEntry();
  const candidateLast = { term: message.logTerm, index: message.index };
  // A learner votes as well: whoever asks knows a configuration in which it is a voter, perhaps a newer one. Without
  // its vote such a group could have no leader at all.
  const granted = mayVote && raft.log.isUpToDate(candidateLast);
  raft.onEvent?.({
    type: 'voteAnswered',
    node: raft.id,
    candidate: from,
    messageType: type,
    answer: granted ? 'granted' : 'rejected',
    vote: raft.vote,
    last,
    candidateLast,
    term: raft.term,
  });
  const answer = newMessage(type === 'MsgVote' ? 'MsgVoteResp' : 'MsgPreVoteResp');
  answer.to = from;
  answer.reject = !granted;
  // A granted pre-vote carries the candidate's future term, or the candidate would drop it as outdated.
  answer.term = granted ? message.term : raft.term;
  if (!granted) answer.context = commitHint(raft);
  raft.send(answer);
  if (granted && type === 'MsgVote') {
    raft.electionElapsed = 0;
    raft.vote = from;
  }
}

function campaign(raft: Raft, kind: CampaignKind): void {
  const preElection = kind === 'preElection';
  if (preElection) becomePreCandidate(raft);
  else becomeCandidate(raft);
  // Pre-votes are about the term that the election would be in.
  const term = preElection ? nextTerm(raft.term) : raft.term;
  const requestType = preElection ? 'MsgPreVote' : 'MsgVote';
  const last = raft.log.lastEntry();
  for (const id of voterIds(raft.tracker.config)) {
    if (id === raft.id) {
      // The own vote counts like any other: when it is durable.
      const own = newMessage(preElection ? 'MsgPreVoteResp' : 'MsgVoteResp');
      own.to = id;
      own.term = term;
      raft.send(own);
      continue;
    }
    raft.onEvent?.({
      type: 'voteRequested',
      node: raft.id,
      to: id,
      term: raft.term,
      last,
      messageType: requestType,
    });
    const request = newMessage(requestType);
    request.to = id;
    request.term = term;
    request.index = last.index;
    request.logTerm = last.term;
    if (kind === 'transfer') request.context = TRANSFER_CONTEXT;
    raft.send(request);
  }
}

function hasUnappliedConfChange(raft: Raft): boolean {
  const { log } = raft;
  // In pages, and none twice: what is unapplied may be long, and what is committed stays what it is.
  const looked = raft.noConfChangeUpTo > log.applied ? raft.noConfChangeUpTo : log.applied;
  for (let low = shiftIndex(looked, 1); low <= log.committed;) {
    const page = log.slice(low, shiftIndex(log.committed, 1), log.maxApplyingBytes);
    if (page === undefined || page.length === 0)
      fail(`entries from ${low} on were compacted before they were applied`);
    if (page.some((entry) => entry.type !== 'normal')) return true;
    low = shiftIndex(low, page.length);
    raft.noConfChangeUpTo = shiftIndex(low, -1);
  }
  return false;
}
