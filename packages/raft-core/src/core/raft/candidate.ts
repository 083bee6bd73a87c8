import type { Message } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { handleVoteAnswer } from './election.ts';
import { handleAppend, handleHeartbeat } from './follower.ts';
import { dropped } from './proposals.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';
import { handleSnapshot } from './snapshots.ts';

/** What a candidate or pre-candidate does with a message of its own term, or without one. */
export function stepCandidate(raft: Raft, message: Message): void {
  switch (message.type) {
    case 'MsgProp':
      throw dropped(raft, 'noLeader', NO_NODE);
    case 'MsgApp':
      becomeFollower(raft, message.term, message.from);
      handleAppend(raft, message);
      return;
    case 'MsgHeartbeat':
      becomeFollower(raft, message.term, message.from);
      handleHeartbeat(raft, message);
      return;
    case 'MsgSnap':
      becomeFollower(raft, message.term, message.from);
      handleSnapshot(raft, message);
      return;
    case 'MsgPreVoteResp':
      // A candidate may still get answers to the pre-vote that made it one.
      if (raft.role === 'preCandidate') handleVoteAnswer(raft, message);
      return;
    case 'MsgVoteResp':
      if (raft.role === 'candidate') handleVoteAnswer(raft, message);
      return;
    case 'MsgTimeoutNow':
      raft.onEvent?.({
        type: 'timeoutNowReceived',
        node: raft.id,
        term: raft.term,
        from: message.from,
        ignored: true,
        role: raft.role,
      });
      return;
    default:
  }
}
