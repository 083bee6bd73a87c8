/**
 * Judging one log file by itself: which of its entries are whole, and whether what is wrong with it, if anything, can
 * be the trace of an append that never finished.
 */
import { announcedAppend, decodeLine } from './line.ts';
import type { DecodedLine } from './line.ts';

/** Disks write whole sectors, so a part that never arrived reads as zeros from one sector boundary to another. */
const SECTOR_SIZE_BYTES = 512;

export type ScanVerdict =
  /** Exactly what one append wrote. */
  | { readonly kind: 'whole' }
  /** An append that was cut short, so it was never acknowledged. `reason` completes "the file ...". */
  | { readonly kind: 'torn'; readonly reason: string }
  /** Something that no interrupted append leaves behind. `line` counts from 1. */
  | { readonly kind: 'damaged'; readonly reason: string; readonly line: number };

/** Called for each whole entry, in order, with the offset of its line. */
export type LineVisitor = (line: DecodedLine, offset: number, end: number) => void;

/**
 * Reads the file that starts with entry `firstIndex`, calling `visit` for the leading entries that are whole, and
 * judges it. Any single flipped bit in a whole file makes it `damaged`, never `torn`.
 */
export function scanFile(bytes: Uint8Array, firstIndex: number, visit: LineVisitor): ScanVerdict {
  if (bytes.length === 0) return { kind: 'torn', reason: 'is empty' };
  let offset = 0;
  let lineNumber = 1;
  let announced: DecodedLine['append'];
  let previous = 0;
  let problem: string | undefined;
  while (offset < bytes.length) {
    if (announced !== undefined && offset === announced.bytes) break;
    const end = bytes.indexOf(0x0a, offset);
    if (end < 0) break;
    const line = decodeLine(bytes, offset, end);
    problem = problemWith(line, firstIndex + lineNumber - 1, lineNumber, previous);
    if (line === undefined || problem !== undefined) break;
    announced ??= line.append;
    previous = line.checksum;
    visit(line, offset, end);
    offset = end + 1;
    lineNumber++;
  }
  if (
    announced !== undefined &&
    problem === undefined &&
    offset === bytes.length &&
    offset === announced.bytes
  ) {
    return lineNumber - 1 === announced.entries
      ? { kind: 'whole' }
      : {
          kind: 'damaged',
          line: 1,
          reason: `holds ${lineNumber - 1} entries and announces ${announced.entries}`,
        };
  }
  return judge(bytes, offset, lineNumber, announced, problem);
}

function problemWith(
  line: DecodedLine | undefined,
  index: number,
  lineNumber: number,
  previous: number,
): string | undefined {
  if (line === undefined) return 'does not match its checksum';
  if (line.index !== index) return `holds entry ${line.index} where entry ${index} belongs`;
  if ((line.append !== undefined) !== (lineNumber === 1)) {
    return lineNumber === 1 ? 'does not say how long the append is' : 'is the first of another append';
  }
  if (lineNumber > 1 && line.previousChecksum !== previous) return 'does not continue the line before it';
  return undefined;
}

/** Torn or damaged: the file is not whole from `offset` (line `lineNumber`) on. */
function judge(
  bytes: Uint8Array,
  offset: number,
  lineNumber: number,
  verified: DecodedLine['append'],
  problem: string | undefined,
): ScanVerdict {
  const announced = verified ?? announcedAppend(bytes);
  if (hasMissingSector(bytes)) return { kind: 'torn', reason: 'has sectors that were never written' };
  if (problem !== undefined) return { kind: 'damaged', line: lineNumber, reason: problem };
  const rest = bytes.length - offset;
  if (announced === undefined) {
    return { kind: 'torn', reason: `ends after ${rest} bytes of its first line` };
  }
  if (bytes.length < announced.bytes) {
    return { kind: 'torn', reason: `has ${bytes.length} of ${announced.bytes} bytes` };
  }
  if (verified !== undefined && offset === verified.bytes) {
    if (bytes.indexOf(0x0a, offset) < 0)
      return { kind: 'torn', reason: `has ${rest} bytes after its append` };
    return { kind: 'damaged', line: lineNumber, reason: 'is not part of the append that this file holds' };
  }
  return { kind: 'damaged', line: lineNumber, reason: 'does not end where it should' };
}

function hasMissingSector(bytes: Uint8Array): boolean {
  for (let start = 0; start < bytes.length; start += SECTOR_SIZE_BYTES) {
    const end = Math.min(start + SECTOR_SIZE_BYTES, bytes.length);
    let at = start;
    while (at < end && bytes[at] === 0) at++;
    if (at === end) return true;
  }
  return false;
}
