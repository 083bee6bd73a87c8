import { fail } from './errors.ts';
import type { LogIndex, NodeId, Term } from './types.ts';

/** Checks and brands a node id: a safe integer from 0 (0 is "nobody"). */
export function toNodeId(value: number): NodeId {
  if (!Number.isSafeInteger(value) || value < 0)
    fail(`a node id must be a safe integer from 0, got ${value}`);
  return value as NodeId;
}

/** Checks and brands a term: a safe integer from 0. */
export function toTerm(value: number): Term {
  if (!Number.isSafeInteger(value) || value < 0) fail(`a term must be a safe integer from 0, got ${value}`);
  return value as Term;
}

/** Checks and brands a log index: a safe integer from 0 (0 is "before the log"). */
export function toLogIndex(value: number): LogIndex {
  if (!Number.isSafeInteger(value) || value < 0)
    fail(`a log index must be a safe integer from 0, got ${value}`);
  return value as LogIndex;
}

/** Term 0: before the first election. */
export const NO_TERM: Term = toTerm(0);

/** Index 0: before the first entry. */
export const NO_INDEX: LogIndex = toLogIndex(0);

/** What an empty majority has committed: everything. It lets an absent half of a joint configuration drop out. */
export const UNBOUNDED_INDEX: LogIndex = toLogIndex(Number.MAX_SAFE_INTEGER);

/** The index `delta` positions further on (or back). Leaving the range of safe integers is an assertion. */
export function shiftIndex(index: LogIndex, delta: number): LogIndex {
  return toLogIndex(index + delta);
}

/** The term after `term`. */
export function nextTerm(term: Term): Term {
  return toTerm(term + 1);
}

/** The smaller of two indexes. */
export function minIndex(a: LogIndex, b: LogIndex): LogIndex {
  return a < b ? a : b;
}

/** The larger of two indexes. */
export function maxIndex(a: LogIndex, b: LogIndex): LogIndex {
  return a > b ? a : b;
}
