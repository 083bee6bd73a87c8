import { NO_INDEX, NO_TERM } from '../ids.ts';
import { entriesSize, payloadSize } from '../log/entry-size.ts';
import { newMessage } from '../message.ts';
import type { Message } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { appliedSnapshot, appliedTo } from './applied.ts';
import { stepCandidate } from './candidate.ts';
import {
  commitHint,
  handleVoteRequest,
  isTransferRequest,
  startElection,
  takeCommitHint,
} from './election.ts';
import { stepFollower } from './follower.ts';
import { stepLeader } from './leader.ts';
import type { Raft } from './raft.ts';
import { shrinkUncommitted } from './replication.ts';
import { becomeFollower } from './roles.ts';

/** Takes in a message, from another node or from this one. */
export function step(raft: Raft, message: Message): void {
  if (message.term !== NO_TERM) {
    if (message.term > raft.term) {
      if (!meetHigherTerm(raft, message)) return;
    } else if (message.term < raft.term) {
      meetLowerTerm(raft, message);
      return;
    }
  }
  switch (message.type) {
    case 'MsgHup':
      startElection(raft, raft.config.preVote ? 'preElection' : 'election');
      return;
    case 'MsgStorageAppendResp':
      if (message.index !== NO_INDEX) raft.log.unstable.stableTo(message.logTerm, message.index);
      if (message.snapshot !== undefined) appliedSnapshot(raft, message.snapshot);
      return;
    case 'MsgStorageApplyResp': {
      const last = message.entries.at(-1);
      if (last === undefined) return;
      appliedTo(raft, last.index, entriesSize(message.entries));
      shrinkUncommitted(raft, payloadSize(message.entries));
      return;
    }
    case 'MsgVote':
    case 'MsgPreVote':
      handleVoteRequest(raft, message);
      return;
    case 'MsgVoteResp':
    case 'MsgPreVoteResp':
      takeCommitHint(raft, message);
      break;
    default:
  }
  switch (raft.role) {
    case 'leader':
      stepLeader(raft, message);
      return;
    case 'follower':
      stepFollower(raft, message);
      return;
    case 'candidate':
    case 'preCandidate':
      stepCandidate(raft, message);
  }
}

/** One tick of time. */
export function tick(raft: Raft): void {
  raft.ticks += 1;
  if (raft.role === 'leader') tickLeader(raft);
  else tickOther(raft);
}

/** So many election timeouts a reluctant node waits: others have campaigned at least twice by then. */
const RELUCTANT_TIMEOUTS = 4;

function tickOther(raft: Raft): void {
  raft.electionElapsed += 1;
  const timeout = raft.randomizedElectionTimeout * (raft.reluctant ? RELUCTANT_TIMEOUTS : 1);
  if (!raft.promotable() || raft.electionElapsed < timeout) return;
  raft.electionElapsed = 0;
  step(raft, local(raft, 'MsgHup'));
}

function tickLeader(raft: Raft): void {
  raft.heartbeatElapsed += 1;
  raft.electionElapsed += 1;
  if (raft.electionElapsed >= raft.config.electionTick) {
    raft.electionElapsed = 0;
    if (raft.config.checkQuorum) step(raft, local(raft, 'MsgCheckQuorum'));
    // A transfer that takes longer than this has failed; take proposals again.
    if (isLeader(raft) && raft.transferTarget !== NO_NODE) raft.abortTransfer();
  }
  if (!isLeader(raft) || raft.heartbeatElapsed < raft.config.heartbeatTick) return;
  raft.heartbeatElapsed = 0;
  step(raft, local(raft, 'MsgBeat'));
}

/** A call, because the role may have changed since it was last looked at. */
function isLeader(raft: Raft): boolean {
  return raft.role === 'leader';
}

function local(raft: Raft, type: 'MsgHup' | 'MsgBeat' | 'MsgCheckQuorum'): Message {
  const message = newMessage(type);
  message.from = raft.id;
  return message;
}

/** Joins a later term (paper, 5.1), unless that would depose a leader for no good reason. True to go on. */
function meetHigherTerm(raft: Raft, message: Message): boolean {
  const { type, from } = message;
  const asksForVote = type === 'MsgVote' || type === 'MsgPreVote';
  if (asksForVote && !isTransferRequest(message) && boundByLease(raft)) {
    raft.onEvent?.({
      type: 'voteIgnoredInLease',
      node: raft.id,
      candidate: from,
      messageType: type,
      vote: raft.vote,
      last: raft.log.lastEntry(),
      candidateLast: { term: message.logTerm, index: message.index },
      term: raft.term,
      remainingTicks: raft.config.electionTick - raft.electionElapsed,
    });
    return false;
  }
  // A pre-vote never changes the term: it is about one that may not come. Granted, it carries that term back; rejected,
  // it carries the voter's own, which is to be joined.
  if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !message.reject)) return true;
  raft.onEvent?.({
    type: 'higherTermReceived',
    node: raft.id,
    from,
    messageType: type,
    term: raft.term,
    messageTerm: message.term,
  });
  const fromLeader = type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap';
  becomeFollower(raft, message.term, fromLeader ? from : NO_NODE);
  return true;
}

/** Thesis 6.4.1 and 4.2.3: within an election timeout of hearing from a leader, no vote that would depose it. */
function boundByLease(raft: Raft): boolean {
  if (!raft.config.checkQuorum) return false;
  if (raft.ticks < raft.voteEmbargoUntilTick) return true;
  return raft.leader !== NO_NODE && raft.electionElapsed < raft.config.electionTick;
}

function meetLowerTerm(raft: Raft, message: Message): void {
  const { type, from } = message;
  const { checkQuorum, preVote } = raft.config;
  if ((checkQuorum || preVote) && (type === 'MsgHeartbeat' || type === 'MsgApp')) {
    // This node has moved on to a term that the leader does not know, and its own votes requests may be ignored there
    // because of a lease. The answer carries the term, so that the leader steps down and the group comes together.
    const answer = newMessage('MsgAppResp');
    answer.to = from;
    raft.send(answer);
    return;
  }
  if (type === 'MsgPreVote') {
    // A group that is being upgraded to pre-votes may have candidates with a higher term but a shorter log. Silence
    // would leave both sides waiting for ever.
    raft.onEvent?.({
      type: 'voteAnswered',
      node: raft.id,
      candidate: from,
      messageType: type,
      answer: 'rejected',
      vote: raft.vote,
      last: raft.log.lastEntry(),
      candidateLast: { term: message.logTerm, index: message.index },
      term: raft.term,
    });
    const answer = newMessage('MsgPreVoteResp');
    answer.to = from;
    answer.term = raft.term;
    answer.reject = true;
    answer.context = commitHint(raft);
    raft.send(answer);
    return;
  }
  if (type === 'MsgStorageAppendResp') {
    // Entries that were written in an older term may have been replaced in the log since, by writes that are still
    // under way (A, then B, then A again). Only a write that ends in the term in which it began makes entries stable;
    // each term change is written too, so one such answer always comes.
    if (message.index !== NO_INDEX) {
      raft.onEvent?.({
        type: 'staleAppendAckIgnored',
        node: raft.id,
        messageType: type,
        term: raft.term,
        messageTerm: message.term,
      });
    }
    // A snapshot is committed state, whatever the term.
    if (message.snapshot !== undefined) appliedSnapshot(raft, message.snapshot);
    return;
  }
  raft.onEvent?.({
    type: 'lowerTermIgnored',
    node: raft.id,
    from,
    messageType: type,
    term: raft.term,
    messageTerm: message.term,
  });
}
