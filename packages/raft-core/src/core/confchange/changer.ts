import { RaftCoreError } from '../errors.ts';
import { maxIndex, shiftIndex, NO_INDEX } from '../ids.ts';
import { sortedIds } from '../quorum/joint.ts';
import { isJoint } from '../tracker/configuration.ts';
import type { TrackerConfig } from '../tracker/configuration.ts';
import { Progress } from '../tracker/progress.ts';
import type { ProgressMap, ProgressTracker } from '../tracker/progress-tracker.ts';
import type { ConfChangeSingle, LogIndex, NodeId } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { checkInvariants } from './invariants.ts';

/** A membership and the progress map that belongs to it. */
export interface ChangedConfig {
  /** The membership. */
  readonly config: TrackerConfig;
  /** A progress for each of its members. */
  readonly progress: ProgressMap;
}

/** Working copy of a membership while changes are applied to it. */
interface Draft {
  readonly incoming: Set<NodeId>;
  readonly outgoing: Set<NodeId>;
  readonly learners: Set<NodeId>;
  readonly learnersNext: Set<NodeId>;
  readonly progress: Map<NodeId, Progress>;
}

/**
 * Computes memberships from memberships (paper, section 6; thesis, chapter 4). It never touches the tracker it is
 * given: the caller installs the outcome. Every method throws `RaftCoreError` `invalidConfChange` for a change that does
 * not fit.
 */
export class Changer {
  readonly #tracker: ProgressTracker;
  readonly #lastIndex: LogIndex;

  /** @param lastIndex where the leader starts probing members that are new */
  constructor(tracker: ProgressTracker, lastIndex: LogIndex) {
    this.#tracker = tracker;
    this.#lastIndex = lastIndex;
  }

  /** From one majority to a joint configuration of it (outgoing) and of it with the changes applied (incoming). */
  enterJoint(autoLeave: boolean, changes: readonly ConfChangeSingle[]): ChangedConfig {
    const current = this.#tracker.config;
    const draft = this.#draft();
    if (isJoint(current))
      throw invalid('alreadyJoint', 'cannot enter a joint configuration: it is joint already');
    if (draft.incoming.size === 0) {
      throw invalid('noVotersToJoin', 'cannot enter a joint configuration from one without voters');
    }
    for (const id of draft.incoming) draft.outgoing.add(id);
    this.#apply(draft, changes);
    return finish(draft, autoLeave);
  }

  /** From a joint configuration to its incoming half. Staged learners become learners, the others removed leave. */
  leaveJoint(): ChangedConfig {
    const current = this.#tracker.config;
    const draft = this.#draft();
    if (!isJoint(current)) throw invalid('notJoint', 'cannot leave a joint configuration: it is not joint');
    for (const id of draft.learnersNext) {
      draft.learners.add(id);
      const progress = draft.progress.get(id);
      if (progress !== undefined) progress.isLearner = true;
    }
    draft.learnersNext.clear();
    for (const id of draft.outgoing) {
      if (!draft.incoming.has(id) && !draft.learners.has(id)) draft.progress.delete(id);
    }
    draft.outgoing.clear();
    return finish(draft, false);
  }

  /** Changes that together move at most one voter, for which overlapping majorities need no joint configuration. */
  simple(changes: readonly ConfChangeSingle[]): ChangedConfig {
    const current = this.#tracker.config;
    const draft = this.#draft();
    if (isJoint(current)) {
      throw invalid('simpleInJoint', 'cannot apply a simple change in a joint configuration: leave it first');
    }
    this.#apply(draft, changes);
    if (symmetricDifference(current.voters.incoming, draft.incoming) > 1) {
      throw invalid('multipleVoters', 'more than one voter changes: this needs a joint configuration');
    }
    return finish(draft, false);
  }

  #draft(): Draft {
    const { config, progress } = this.#tracker;
    checkInvariants(config, progress);
    const copies = new Map<NodeId, Progress>();
    for (const [id, member] of progress) copies.set(id, member.clone());
    return {
      incoming: new Set(config.voters.incoming),
      outgoing: new Set(config.voters.outgoing),
      learners: new Set(config.learners),
      learnersNext: new Set(config.learnersNext),
      progress: copies,
    };
  }

  #apply(draft: Draft, changes: readonly ConfChangeSingle[]): void {
    for (const { type, nodeId } of changes) {
      // An application that decides to drop one change of several does so by setting its id to "nobody".
      if (nodeId === NO_NODE) continue;
      switch (type) {
        case 'addNode':
          this.#makeVoter(draft, nodeId);
          break;
        case 'addLearnerNode':
          this.#makeLearner(draft, nodeId);
          break;
        case 'removeNode':
          remove(draft, nodeId);
          break;
        case 'updateNode':
          break;
      }
    }
    if (draft.incoming.size === 0) throw invalid('removesAllVoters', 'the change would leave no voter');
  }

  #makeVoter(draft: Draft, id: NodeId): void {
    const progress = draft.progress.get(id);
    if (progress === undefined) {
      draft.incoming.add(id);
      draft.progress.set(id, this.#newMember(false));
      return;
    }
    progress.isLearner = false;
    draft.learners.delete(id);
    draft.learnersNext.delete(id);
    draft.incoming.add(id);
  }

  #makeLearner(draft: Draft, id: NodeId): void {
    const progress = draft.progress.get(id);
    if (progress === undefined) {
      draft.learners.add(id);
      draft.progress.set(id, this.#newMember(true));
      return;
    }
    if (progress.isLearner) return;
    remove(draft, id);
    draft.progress.set(id, progress);
    // Still a voter of the outgoing half, it can become a learner only when that half is gone.
    if (draft.outgoing.has(id)) {
      draft.learnersNext.add(id);
    } else {
      progress.isLearner = true;
      draft.learners.add(id);
    }
  }

  #newMember(isLearner: boolean): Progress {
    const next = maxIndex(this.#lastIndex, shiftIndex(NO_INDEX, 1));
    const progress = new Progress(next, this.#tracker.newInflights(), isLearner);
    // A new member has had no chance to answer yet; without this the next quorum check could depose the leader.
    progress.recentActive = true;
    return progress;
  }
}

function remove(draft: Draft, id: NodeId): void {
  if (!draft.progress.has(id)) return;
  draft.incoming.delete(id);
  draft.learners.delete(id);
  draft.learnersNext.delete(id);
  if (!draft.outgoing.has(id)) draft.progress.delete(id);
}

function finish(draft: Draft, autoLeave: boolean): ChangedConfig {
  const config: TrackerConfig = {
    voters: { incoming: sortedIds(draft.incoming), outgoing: sortedIds(draft.outgoing) },
    autoLeave,
    learners: sortedIds(draft.learners),
    learnersNext: sortedIds(draft.learnersNext),
  };
  checkInvariants(config, draft.progress);
  return { config, progress: draft.progress };
}

function symmetricDifference(before: readonly NodeId[], after: ReadonlySet<NodeId>): number {
  const removed = before.filter((id) => !after.has(id)).length;
  const kept = before.length - removed;
  return removed + (after.size - kept);
}

function invalid(
  reason:
    'alreadyJoint' | 'noVotersToJoin' | 'notJoint' | 'simpleInJoint' | 'multipleVoters' | 'removesAllVoters',
  message: string,
): RaftCoreError {
  return new RaftCoreError('invalidConfChange', message, { reason });
}
