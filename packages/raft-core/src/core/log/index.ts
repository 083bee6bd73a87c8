export { countWithin, entriesSize, entrySize, NO_LIMIT, payloadSize } from './entry-size.ts';
export { RaftLog } from './raft-log.ts';
export { Unstable } from './unstable.ts';
