import { ProgressTracker } from '../tracker/progress-tracker.ts';
import type { ConfChangeSingle, ConfChangeType, ConfState, LogIndex, NodeId } from '../types.ts';
import { Changer } from './changer.ts';
import type { ChangedConfig } from './changer.ts';

/**
 * Rebuilds the membership of a {@link ConfState} by the changes that lead to it, so that a restored configuration has
 * passed the same checks as one that was changed into.
 *
 * @param empty a tracker without members; it is only read
 */
export function restoreConfig(empty: ProgressTracker, lastIndex: LogIndex, state: ConfState): ChangedConfig {
  const { outgoing, incoming } = toChanges(state);
  const tracker = new ProgressTracker(empty.maxInflightMessages, empty.maxInflightBytes);
  const step = (next: ChangedConfig): void => {
    tracker.install(next.config, next.progress);
  };
  if (outgoing.length === 0) {
    // Not joint: voters and learners can be added one at a time.
    for (const change of incoming) step(new Changer(tracker, lastIndex).simple([change]));
  } else {
    // Build the outgoing half first, then enter the joint configuration from it.
    for (const change of outgoing) step(new Changer(tracker, lastIndex).simple([change]));
    step(new Changer(tracker, lastIndex).enterJoint(state.autoLeave, incoming));
  }
  return { config: tracker.config, progress: tracker.progress };
}

function toChanges(state: ConfState): {
  readonly outgoing: readonly ConfChangeSingle[];
  readonly incoming: readonly ConfChangeSingle[];
} {
  const single = (type: ConfChangeType, ids: readonly NodeId[]): ConfChangeSingle[] =>
    ids.map((nodeId) => ({ type, nodeId }));
  return {
    outgoing: single('addNode', state.votersOutgoing),
    // Removing the outgoing voters first gives the incoming half a clean start; it cannot fail, because the joint
    // step checks only its final outcome.
    incoming: [
      ...single('removeNode', state.votersOutgoing),
      ...single('addNode', state.voters),
      ...single('addLearnerNode', state.learners),
      ...single('addLearnerNode', state.learnersNext),
    ],
  };
}

/** True when both describe the same membership. */
export function confStatesEqual(a: ConfState, b: ConfState): boolean {
  return (
    sameIds(a.voters, b.voters) &&
    sameIds(a.votersOutgoing, b.votersOutgoing) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

function sameIds(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  if (a.length !== b.length) return false;
  const left = [...a].sort((x, y) => x - y);
  const right = [...b].sort((x, y) => x - y);
  return left.every((id, position) => id === right[position]);
}
