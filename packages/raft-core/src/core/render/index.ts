export {
  describeConfChanges,
  describeConfig,
  describeConfState,
  describeEntries,
  describeEntry,
  describeError,
  describeHardState,
  describeMessage,
  describeProgress,
  describeProgressMap,
  describeReady,
  describeSnapshot,
  describeTarget,
  ROLE_NAMES,
} from './describe.ts';
export type { DataFormatter } from './describe.ts';
export { renderEvent } from './log-line.ts';
export type { LogLevel, LogLine } from './log-line.ts';
export { quoteBytes } from './quote.ts';
