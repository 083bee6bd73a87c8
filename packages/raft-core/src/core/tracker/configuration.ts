import { jointVoters } from '../quorum/joint.ts';
import type { JointConfig } from '../quorum/joint.ts';
import type { ConfState, NodeId } from '../types.ts';

/**
 * The active membership. All lists are sorted by id.
 *
 * Invariants: learners are in neither half of the voters; `learnersNext` is a subset of the outgoing half, and like
 * `autoLeave` only set in a joint configuration.
 */
export interface TrackerConfig {
  /** Both halves of the voters. */
  readonly voters: JointConfig;
  /** True when the leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
  /** Members without a vote. */
  readonly learners: readonly NodeId[];
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
}

/** The membership of a node that does not know of any. */
export const EMPTY_CONFIG: TrackerConfig = {
  voters: { incoming: [], outgoing: [] },
  autoLeave: false,
  learners: [],
  learnersNext: [],
};

/** True in the middle of a membership change by joint consensus. */
export function isJoint(config: TrackerConfig): boolean {
  return config.voters.outgoing.length > 0;
}

/** True when exactly one voter decides alone. */
export function isSingleton(config: TrackerConfig): boolean {
  return config.voters.incoming.length === 1 && config.voters.outgoing.length === 0;
}

/** True for a voter of either half. */
export function isVoter(config: TrackerConfig, id: NodeId): boolean {
  return config.voters.incoming.includes(id) || config.voters.outgoing.includes(id);
}

/** Voters of both halves, sorted. */
export function voterIds(config: TrackerConfig): readonly NodeId[] {
  return jointVoters(config.voters);
}

/** The persisted form. */
export function toConfState(config: TrackerConfig): ConfState {
  return {
    voters: config.voters.incoming,
    votersOutgoing: config.voters.outgoing,
    learners: config.learners,
    learnersNext: config.learnersNext,
    autoLeave: config.autoLeave,
  };
}
