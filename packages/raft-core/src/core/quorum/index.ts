export { describeMajority } from './describe.ts';
export { jointCommittedIndex, jointVoters, jointVoteResult, sortedIds } from './joint.ts';
export type { JointConfig } from './joint.ts';
export { majorityCommittedIndex, majorityOf, majorityVoteResult } from './majority.ts';
export type { AckedIndexer, MajorityConfig, VoteResult, Votes } from './majority.ts';
