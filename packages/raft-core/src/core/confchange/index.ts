export { Changer } from './changer.ts';
export type { ChangedConfig } from './changer.ts';
export { decodeConfChange, encodeConfChange, LEAVE_JOINT } from './codec.ts';
export { jointEntry, leavesJoint } from './conf-change.ts';
export { checkInvariants } from './invariants.ts';
export { confStatesEqual, restoreConfig } from './restore.ts';
