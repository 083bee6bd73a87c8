import { RaftCoreError } from '../errors.ts';
import { isJoint, voterIds } from '../tracker/configuration.ts';
import type { TrackerConfig } from '../tracker/configuration.ts';
import type { ProgressMap } from '../tracker/progress-tracker.ts';

/**
 * Checks that a membership and its progress map fit together. Called on what goes into a change and on what comes out.
 * The empty membership is valid: every group begins with it.
 */
export function checkInvariants(config: TrackerConfig, progress: ProgressMap): void {
  for (const id of [...voterIds(config), ...config.learners, ...config.learnersNext]) {
    if (!progress.has(id)) throw inconsistent(`no progress for ${id}`);
  }
  for (const id of config.learnersNext) {
    if (!config.voters.outgoing.includes(id)) {
      throw inconsistent(`${id} is to become a learner, but is not an outgoing voter`);
    }
    if (progress.get(id)?.isLearner === true) {
      throw inconsistent(`${id} is to become a learner, but is marked as one already`);
    }
  }
  for (const id of config.learners) {
    if (config.voters.outgoing.includes(id)) throw inconsistent(`${id} is a learner and an outgoing voter`);
    if (config.voters.incoming.includes(id)) throw inconsistent(`${id} is a learner and an incoming voter`);
    if (progress.get(id)?.isLearner !== true)
      throw inconsistent(`${id} is a learner, but is not marked as one`);
  }
  if (!isJoint(config)) {
    if (config.learnersNext.length > 0)
      throw inconsistent('learners are staged outside of a joint configuration');
    if (config.autoLeave) throw inconsistent('auto-leave is set outside of a joint configuration');
  }
}

function inconsistent(message: string): RaftCoreError {
  return new RaftCoreError('invalidConfChange', `inconsistent configuration: ${message}`, {
    reason: 'inconsistent',
  });
}
