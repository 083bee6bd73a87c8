/** What is wrong with a set of log files as a log, and which entries cannot be had from them. */
import { join } from 'node:path';
import type { StorageWarning, WalStorageErrorCode } from '../errors.ts';
import { walFileName } from '../layout.ts';
import type { Layout } from '../layout.ts';
import type { Bounds } from '../meta/metadata.ts';
import type { FileSurvey, IndexRange } from './survey.ts';

/** Something that was found. Lines count from 1. */
export interface WalFinding {
  /** `damage`: the node refuses to start. `note`: it starts, and says or does something about it. */
  readonly severity: 'damage' | 'note';
  readonly code: WalStorageErrorCode | StorageWarning['code'];
  readonly message: string;
  readonly path?: string;
  readonly line?: number;
  readonly index?: number;
}

export interface Judgement {
  /** Entries, both ends included, that are missing, damaged or of doubtful origin. In no order, and may overlap. */
  readonly missing: IndexRange[];
  /** Files whose entries must not be relied upon although they are intact: they do not belong to their neighbours. */
  readonly suspects: ReadonlySet<number>;
  readonly first: number;
  /** `first - 1` for an empty log. */
  readonly last: number;
}

/** Judges files in ascending order; those whose entries are all compacted are passed over. */
export function judgeLog(
  layout: Layout,
  all: readonly FileSurvey[],
  bounds: Bounds | undefined,
  findings: WalFinding[],
): Judgement {
  const first = (bounds?.compactedIndex ?? (all[0]?.file ?? 1) - 1) + 1;
  const files = all.filter((_, position) => (all[position + 1]?.file ?? Infinity) > first);
  const suspects = findSuspects(files, first, bounds);
  const missing: IndexRange[] = [];
  let next = first;
  for (const [position, file] of files.entries()) {
    const path = join(layout.wal, walFileName(file.file));
    const following = files[position + 1]?.file;
    if (file.file > next) {
      const message = `entries ${next} to ${file.file - 1} are missing before ${path}`;
      findings.push({ severity: 'damage', code: 'hole', message, path, index: next });
      missing.push({ from: next, to: file.file - 1 });
    }
    if (file.file < next && position > 0) {
      const message = `${path} begins with entry ${file.file}, which the file before it holds too`;
      findings.push({ severity: 'damage', code: 'overlap', message, path, index: file.file });
    }
    findings.push(
      ...judgeFile(file, path, following === undefined && file.file >= first, suspects.has(file.file)),
    );
    const end = lastIndexOf(file, following);
    const from = Math.max(first, file.file);
    if (suspects.has(file.file)) missing.push({ from, to: end });
    else missing.push(...gapsIn(file, from, end));
    next = Math.max(next, end + 1);
  }
  return { missing: missing.filter(({ from, to }) => from <= to), suspects, first, last: next - 1 };
}

function judgeFile(file: FileSurvey, path: string, mayBeTorn: boolean, suspect: boolean): WalFinding[] {
  const { verdict } = file;
  if (verdict.kind === 'torn' && mayBeTorn) {
    return [
      {
        severity: 'note',
        code: 'tornTailDropped',
        message: `${path} ${verdict.reason}: it is dropped at the next start`,
        path,
      },
    ];
  }
  if (verdict.kind !== 'whole') {
    const line = verdict.kind === 'damaged' ? verdict.line : countEntries(file) + 1;
    const message = `${path}, line ${line}: ${verdict.reason}`;
    return [{ severity: 'damage', code: 'corrupt', message, path, line, index: file.file + line - 1 }];
  }
  if (!suspect) return [];
  const message = `${path}, line 1: the file does not continue its neighbours, it may belong to another log`;
  return [{ severity: 'damage', code: 'corrupt', message, path, line: 1, index: file.file }];
}

export function countEntries(file: FileSurvey): number {
  return file.intact.reduce((count, { from, to }) => count + to - from + 1, 0);
}

/**
 * Where two whole neighbours do not continue each other, the one without any good link is the stranger; if that does
 * not tell, both are suspect.
 */
function findSuspects(
  files: readonly FileSurvey[],
  first: number,
  bounds: Bounds | undefined,
): ReadonlySet<number> {
  const links = files.map((file, position) => isLinked(files[position - 1], file, first, bounds));
  const goodLinks = (position: number): number =>
    Number(links[position] === true) + Number(links[position + 1] === true);
  const suspects = new Set<number>();
  for (const [position, file] of files.entries()) {
    if (links[position] !== false) continue;
    const before = files[position - 1];
    if (before === undefined) {
      suspects.add(file.file);
      continue;
    }
    const [mine, theirs] = [goodLinks(position), goodLinks(position - 1)];
    if (mine <= theirs) suspects.add(file.file);
    if (theirs <= mine) suspects.add(before.file);
  }
  return suspects;
}

/** Whether the file continues the one before it; undefined where that cannot be told. */
function isLinked(
  before: FileSurvey | undefined,
  file: FileSurvey,
  first: number,
  bounds: Bounds | undefined,
): boolean | undefined {
  if (file.chain === undefined) return undefined;
  if (before === undefined) {
    return file.file === first && bounds !== undefined
      ? file.chain.previous === bounds.compactedChecksum
      : undefined;
  }
  const adjacent = before.chain !== undefined && before.intact.at(-1)?.to === file.file - 1;
  return adjacent
    ? file.chain.previous === before.chain.last && file.chain.firstTerm >= before.chain.lastTerm
    : undefined;
}

/** The last entry that the file had, as far as can be told. */
function lastIndexOf(file: FileSurvey, following: number | undefined): number {
  const salvaged = file.intact.at(-1)?.to ?? file.file - 1;
  if (file.verdict.kind === 'whole') return salvaged;
  if (following !== undefined) return Math.max(salvaged, following - 1);
  return file.verdict.kind === 'damaged' ? Math.max(salvaged, file.file + file.verdict.line - 1) : salvaged;
}

/** Entries of a file that are not intact. Nothing is missing after the end of a last file that was cut short. */
function gapsIn(file: FileSurvey, from: number, to: number): IndexRange[] {
  const gaps: IndexRange[] = [];
  let next = from;
  for (const range of file.intact) {
    if (range.from > next) gaps.push({ from: next, to: range.from - 1 });
    next = Math.max(next, range.to + 1);
  }
  if (next <= to) gaps.push({ from: next, to });
  return gaps;
}
