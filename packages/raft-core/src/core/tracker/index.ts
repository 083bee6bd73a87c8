export { EMPTY_CONFIG, isJoint, isSingleton, isVoter, toConfState, voterIds } from './configuration.ts';
export type { TrackerConfig } from './configuration.ts';
export { Inflights } from './inflights.ts';
export { Progress } from './progress.ts';
export type { ProgressState, ProgressStatus } from './progress.ts';
export { ProgressTracker } from './progress-tracker.ts';
export type { ProgressMap, Tally } from './progress-tracker.ts';
