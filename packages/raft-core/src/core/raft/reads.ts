import { isSingleton } from '../tracker/configuration.ts';
import type { LogIndex, Message } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { newMessage } from '../message.ts';
import type { Raft } from './raft.ts';
import { broadcastHeartbeat } from './replication.ts';

/** A read reached the leader (thesis 6.4). */
export function readAtLeader(raft: Raft, request: Message): void {
  // Alone it knows what is committed, unless the commit index it restarted with lags behind what it had acknowledged.
  if (!raft.config.safeguards && isSingleton(raft.tracker.config)) {
    answerRead(raft, request, raft.log.committed);
    return;
  }
  // A new leader does not know which entries are committed before one of its own term is.
  if (!raft.committedInTerm()) {
    raft.earlyReads.push(request);
    return;
  }
  confirmRead(raft, request);
}

/** The first entry of the leader's term is committed: early reads can go on. */
export function releaseEarlyReads(raft: Raft): void {
  if (raft.earlyReads.length === 0) return;
  if (!raft.committedInTerm()) {
    raft.onEvent?.({ type: 'readReleasedTooEarly', node: raft.id });
    return;
  }
  const requests = raft.earlyReads;
  raft.earlyReads = [];
  for (const request of requests) confirmRead(raft, request);
}

/** Takes in a heartbeat's answer. */
export function readsOnHeartbeatAnswer(raft: Raft, answer: Message): void {
  if (answer.context.length === 0) return;
  const confirmed = raft.rounds.acknowledge(answer.from, answer.context, raft.tracker.config.voters);
  for (const read of confirmed) answerRead(raft, read.request, read.index);
}

/** The periodic heartbeat: it asks again for what is not confirmed, and renews the lease. */
export function beat(raft: Raft): void {
  const { rounds } = raft;
  const { readOnlyOption, safeguards } = raft.config;
  const renews = readOnlyOption === 'leaseBased' && safeguards;
  if (renews) rounds.begin(raft.id, raft.ticks);
  broadcastHeartbeat(raft, renews || rounds.hasPending() ? rounds.context() : NO_CONTEXT);
}

const NO_CONTEXT = new Uint8Array(0);

function confirmRead(raft: Raft, request: Message): void {
  const { committed } = raft.log;
  const singleton = raft.config.safeguards && isSingleton(raft.tracker.config);
  if (singleton || (raft.config.readOnlyOption === 'leaseBased' && leaseHolds(raft))) {
    answerRead(raft, request, committed);
    return;
  }
  raft.rounds.begin(raft.id, raft.ticks);
  raft.rounds.add(request, committed);
  broadcastHeartbeat(raft, raft.rounds.context());
}

/**
 * True while no other node can have become leader. A voter that answered a heartbeat grants nobody a vote for
 * `electionTick` ticks after it; of these one is lost because its next tick may come at once, and one because this
 * node's last tick may be almost a tick ago. A leadership transfer overrides the voters' promise.
 */
function leaseHolds(raft: Raft): boolean {
  if (!raft.config.safeguards) return true;
  const since = raft.rounds.confirmedTick();
  if (since === undefined || raft.transferTarget !== NO_NODE || raft.transferSent) return false;
  return raft.ticks - since <= raft.config.electionTick - 2;
}

function answerRead(raft: Raft, request: Message, index: LogIndex): void {
  if (request.from === NO_NODE || request.from === raft.id) {
    raft.readStates.push({ index, requestContext: request.entries[0]?.data ?? NO_CONTEXT });
    return;
  }
  const answer = newMessage('MsgReadIndexResp');
  answer.to = request.from;
  answer.index = index;
  answer.entries = request.entries;
  raft.send(answer);
}
