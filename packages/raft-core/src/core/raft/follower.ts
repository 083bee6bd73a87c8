import { minIndex, NO_TERM } from '../ids.ts';
import { newMessage } from '../message.ts';
import type { Message } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { startElection } from './election.ts';
import { dropped } from './proposals.ts';
import type { Raft } from './raft.ts';
import { handleSnapshot } from './snapshots.ts';

/** What a follower or learner does with a message of its own term, or without one. */
export function stepFollower(raft: Raft, message: Message): void {
  switch (message.type) {
    case 'MsgProp':
      if (raft.leader === NO_NODE) throw dropped(raft, 'noLeader', NO_NODE);
      if (raft.config.disableProposalForwarding) throw dropped(raft, 'forwardingDisabled', raft.leader);
      if (message.entries.length === 0) throw dropped(raft, 'emptyProposal', NO_NODE);
      forward(raft, message);
      return;
    case 'MsgApp':
      followLeader(raft, message);
      handleAppend(raft, message);
      return;
    case 'MsgHeartbeat':
      followLeader(raft, message);
      handleHeartbeat(raft, message);
      return;
    case 'MsgSnap':
      followLeader(raft, message);
      handleSnapshot(raft, message);
      return;
    case 'MsgTransferLeader':
      if (raft.leader === NO_NODE) {
        raft.onEvent?.({
          type: 'transfer',
          node: raft.id,
          term: raft.term,
          target: message.from,
          step: 'noLeader',
        });
        return;
      }
      forward(raft, message);
      return;
    case 'MsgForgetLeader':
      forgetLeader(raft);
      return;
    case 'MsgTimeoutNow':
      raft.onEvent?.({
        type: 'timeoutNowReceived',
        node: raft.id,
        term: raft.term,
        from: message.from,
        ignored: false,
        role: raft.role,
      });
      startElection(raft, 'transfer');
      return;
    case 'MsgReadIndex':
      if (raft.leader === NO_NODE) {
        raft.onEvent?.({ type: 'readDropped', node: raft.id, term: raft.term });
        return;
      }
      forward(raft, message);
      return;
    case 'MsgReadIndexResp': {
      const [request] = message.entries;
      if (request === undefined || message.entries.length !== 1) {
        raft.onEvent?.({
          type: 'readResponseMalformed',
          node: raft.id,
          from: message.from,
          entries: message.entries.length,
        });
        return;
      }
      raft.readStates.push({ index: message.index, requestContext: request.data });
      return;
    }
    default:
  }
}

/** Appends what the leader sent, or tells it where the logs may agree (paper, 5.3). */
export function handleAppend(raft: Raft, message: Message): void {
  const { log } = raft;
  const answer = newMessage('MsgAppResp');
  answer.to = message.from;
  if (message.index < log.committed) {
    // An old message: everything committed here is the leader's too.
    answer.index = log.committed;
    raft.send(answer);
    return;
  }
  const lastNew = log.maybeAppend(message.logTerm, message.index, message.entries, message.commit);
  if (lastNew !== undefined) {
    answer.index = lastNew;
    raft.send(answer);
    return;
  }
  raft.onEvent?.({
    type: 'appendRejected',
    node: raft.id,
    from: message.from,
    ownTerm: log.termOrZero(message.index),
    anchor: { term: message.logTerm, index: message.index },
  });
  // Every entry of the leader before the anchor has at most the anchor's term, so whatever is here with a later term
  // cannot agree: the search skips it and saves a round trip per entry.
  const hint = log.findConflictByTerm(minIndex(message.index, log.lastIndex()), message.logTerm);
  answer.index = message.index;
  answer.reject = true;
  answer.rejectHint = hint.index;
  answer.logTerm = hint.term;
  raft.send(answer);
}

/** Takes over the leader's commit index and answers, with the context of the read that it may be about. */
export function handleHeartbeat(raft: Raft, message: Message): void {
  raft.log.commitTo(message.commit);
  const answer = newMessage('MsgHeartbeatResp');
  answer.to = message.from;
  answer.context = message.context;
  raft.send(answer);
}

function followLeader(raft: Raft, message: Message): void {
  raft.electionElapsed = 0;
  raft.leader = message.from;
}

function forward(raft: Raft, message: Message): void {
  const copy = newMessage(message.type);
  Object.assign(copy, message);
  copy.to = raft.leader;
  // A request to transfer leadership carries a term when another node forwarded it; it gets this node's.
  if (copy.type === 'MsgTransferLeader') copy.term = NO_TERM;
  raft.send(copy);
}

function forgetLeader(raft: Raft): void {
  if (raft.config.readOnlyOption === 'leaseBased') {
    // The leader counts on this node not to vote for another.
    raft.onEvent?.({ type: 'forgetLeaderRefused', node: raft.id });
    return;
  }
  if (raft.leader === NO_NODE) return;
  raft.onEvent?.({ type: 'leaderForgotten', node: raft.id, leader: raft.leader, term: raft.term });
  raft.leader = NO_NODE;
}
