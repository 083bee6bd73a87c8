/** Looking at a log file without trusting anything in it: what can be salvaged, and what is wrong. */
import type { Entry } from '@pact-journal/raft-core';
import { decodeLine, entryOf } from '../log/line.ts';
import type { DecodedLine } from '../log/line.ts';
import { scanFile } from '../log/scan.ts';
import type { ScanVerdict } from '../log/scan.ts';

/** One log file. */
export interface FileSurvey {
  /** Index that its name says. */
  readonly file: number;
  readonly sizeBytes: number;
  readonly verdict: ScanVerdict;
  /** Ranges of entries, both ends included, the lines of which are intact wherever in the file they stand. */
  readonly intact: readonly IndexRange[];
  /** Checksums that the first and the last line of a whole file stand for in the chain. */
  readonly chain:
    | {
        readonly previous: number;
        readonly last: number;
        readonly firstTerm: number;
        readonly lastTerm: number;
      }
    | undefined;
}

export interface IndexRange {
  readonly from: number;
  readonly to: number;
}

/** Every line of the file that is intact by itself, in order, whatever its neighbours are. */
export function* salvageLines(bytes: Uint8Array): Generator<DecodedLine> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0x0a, start);
    if (end < 0) return;
    const line = decodeLine(bytes, start, end);
    if (line !== undefined) yield line;
    start = end + 1;
  }
}

/** The file's intact entries by index. Entries that stand below the index of the file's name belong elsewhere. */
export function salvageEntries(bytes: Uint8Array, file: number): Map<number, Entry> {
  const entries = new Map<number, Entry>();
  for (const line of salvageLines(bytes))
    if (line.index >= file) entries.set(line.index, entryOf(bytes, line));
  return entries;
}

/** Adds an index to ascending ranges. */
export function extendRanges(ranges: IndexRange[], index: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.to === index - 1) ranges[ranges.length - 1] = { from: last.from, to: index };
  else if (last === undefined || last.to < index) ranges.push({ from: index, to: index });
}

/** The same indexes in ascending ranges that neither touch nor overlap. */
export function mergeRanges(ranges: readonly IndexRange[]): readonly IndexRange[] {
  const merged: IndexRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last !== undefined && range.from <= last.to + 1) {
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) };
    } else {
      merged.push(range);
    }
  }
  return merged;
}

export function surveyFile(bytes: Uint8Array, file: number): FileSurvey {
  const lines: DecodedLine[] = [];
  const verdict = scanFile(bytes, file, (line) => lines.push(line));
  const intact: IndexRange[] = [];
  for (const line of verdict.kind === 'whole' ? lines : salvageLines(bytes)) {
    if (line.index >= file) extendRanges(intact, line.index);
  }
  const [first, last] = [lines[0], lines.at(-1)];
  const chain =
    verdict.kind !== 'whole' || first === undefined || last === undefined
      ? undefined
      : { previous: first.previousChecksum, last: last.checksum, firstTerm: first.term, lastTerm: last.term };
  return { file, sizeBytes: bytes.length, verdict, intact, chain };
}
