/**
 * The files of a spool: segments of lines, named after the number of their first record, written at the end and taken
 * away at the front; and a cursor that says what has been forwarded. Calls must not overlap.
 */
import { open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isCode } from './lock.ts';
import { decodeLines } from './record.ts';
import type { SpoolRecord } from './record.ts';

interface Segment {
  readonly first: number;
  /** Durable bytes. */
  sizeBytes: number;
}

const NAME = /^(\d{16})\.jsonl$/u;

function nameOf(first: number): string {
  return `${String(first).padStart(16, '0')}.jsonl`;
}

export interface SegmentsOptions {
  readonly directory: string;
  readonly segmentBytes: number;
  /** Lines that cannot be read: a copy of their file was kept beside it. */
  readonly onDamage: (file: string, lines: number) => void;
}

export class SpoolSegments {
  readonly #options: SegmentsOptions;
  readonly #segments: Segment[] = [];
  #tail: FileHandle | undefined;
  /** Number of the next record that is appended. */
  #next = 0;
  /** Number of the first record that is not forwarded. */
  #cursor = 0;
  /** Where in the first segment reading goes on, and what has been read already. */
  #readSegment = -1;
  #readOffset = 0;
  #readAhead: SpoolRecord[] = [];

  private constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  /** Drops a line that was cut off while it was written: it was never acknowledged. */
  static async open(options: SegmentsOptions): Promise<SpoolSegments> {
    const segments = new SpoolSegments(options);
    await segments.#recover();
    return segments;
  }

  get next(): number {
    return this.#next;
  }

  get cursor(): number {
    return this.#cursor;
  }

  get sizeBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  async #recover(): Promise<void> {
    this.#cursor = await this.#readCursor();
    this.#next = this.#cursor;
    const firsts = (await readdir(this.#options.directory))
      .map((name) => NAME.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
    for (const first of firsts) await this.#recoverSegment(first, first === firsts.at(-1));
    await this.#dropForwarded();
  }

  async #recoverSegment(first: number, isLast: boolean): Promise<void> {
    const path = this.#path(first);
    const bytes = await readFile(path);
    const { records, damagedLines, wholeBytes } = decodeLines(bytes);
    const cutOff = bytes.length - wholeBytes;
    if (damagedLines > 0 || (cutOff > 0 && !isLast)) {
      const copy = `${path}.damaged`;
      await writeFile(copy, bytes);
      this.#options.onDamage(copy, damagedLines + (cutOff > 0 && !isLast ? 1 : 0));
    }
    if (cutOff > 0) await truncate(path, wholeBytes);
    this.#segments.push({ first, sizeBytes: wholeBytes });
    // A damaged line has used its number too.
    this.#next = Math.max(this.#next, first + records.length + damagedLines);
  }

  /** Durable when it resolves; false where the disk has no room, and then nothing is written. */
  async append(lines: Buffer, count: number): Promise<boolean> {
    const { segment, handle } = await this.#tailFor(lines.length);
    if (!(await writeWhole(handle, lines, segment.sizeBytes))) {
      await handle.truncate(segment.sizeBytes);
      return false;
    }
    await handle.datasync();
    segment.sizeBytes += lines.length;
    this.#next += count;
    return true;
  }

  async #tailFor(bytes: number): Promise<{ readonly segment: Segment; readonly handle: FileHandle }> {
    const last = this.#segments.at(-1);
    if (
      last !== undefined &&
      (last.sizeBytes === 0 || last.sizeBytes + bytes <= this.#options.segmentBytes)
    ) {
      this.#tail ??= await open(this.#path(last.first), 'r+');
      return { segment: last, handle: this.#tail };
    }
    return await this.#beginSegment();
  }

  async #beginSegment(): Promise<{ readonly segment: Segment; readonly handle: FileHandle }> {
    await this.close();
    const segment = { first: this.#next, sizeBytes: 0 };
    const handle = await open(this.#path(segment.first), 'w');
    await syncDirectory(this.#options.directory);
    this.#tail = handle;
    this.#segments.push(segment);
    return { segment, handle };
  }

  /** The next records from the cursor on, at most so many. Empty where all are forwarded. */
  async read(maxCount: number): Promise<readonly SpoolRecord[]> {
    while (this.#readAhead.length === 0) {
      if (!(await this.#readOn())) return [];
    }
    return this.#readAhead.slice(0, maxCount);
  }

  /** Reads what follows in memory; false where nothing does. A segment at a time, so that memory stays bounded. */
  async #readOn(): Promise<boolean> {
    const at = Math.max(
      0,
      this.#segments.findIndex(({ first }) => first === this.#readSegment),
    );
    const segment = this.#segments[at];
    if (segment === undefined) return false;
    if (segment.first !== this.#readSegment) {
      this.#readSegment = segment.first;
      this.#readOffset = 0;
    }
    const length = segment.sizeBytes - this.#readOffset;
    if (length === 0) {
      const following = this.#segments[at + 1];
      if (following === undefined) return false;
      this.#readSegment = following.first;
      this.#readOffset = 0;
      return true;
    }
    const handle = await open(this.#path(segment.first), 'r');
    try {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await handle.read(bytes, 0, length, this.#readOffset);
      this.#readOffset += bytesRead;
      const { records } = decodeLines(bytes.subarray(0, bytesRead));
      this.#readAhead.push(...records.filter(({ number }) => number >= this.#cursor));
      return bytesRead > 0;
    } finally {
      await handle.close();
    }
  }

  /** Everything before `number` is forwarded. A crash may lose the step: then it is forwarded, and recognised, again. */
  async advance(number: number): Promise<void> {
    this.#cursor = number;
    this.#readAhead = this.#readAhead.filter((record) => record.number >= number);
    const path = join(this.#options.directory, 'cursor.json');
    await writeFile(`${path}.tmp`, JSON.stringify({ next: number }));
    await rename(`${path}.tmp`, path);
    await this.#dropForwarded();
  }

  /**
   * Takes away segments all of whose records are forwarded. One is always left: should the cursor get lost, its name
   * still tells the numbering, and a number that was used is never used again.
   */
  async #dropForwarded(): Promise<void> {
    const [first] = this.#segments;
    const isDone = this.#cursor === this.#next && this.#segments.length === 1;
    if (isDone && first !== undefined && first.sizeBytes >= this.#options.segmentBytes / 4)
      await this.#beginSegment();
    for (let following = this.#segments[1]; following !== undefined; following = this.#segments[1]) {
      if (following.first > this.#cursor) return;
      const dropped = this.#segments.shift();
      if (dropped !== undefined) await rm(this.#path(dropped.first), { force: true });
    }
  }

  async close(): Promise<void> {
    await this.#tail?.close();
    this.#tail = undefined;
  }

  async #readCursor(): Promise<number> {
    const path = join(this.#options.directory, 'cursor.json');
    try {
      await stat(path);
    } catch (error) {
      if (isCode(error, 'ENOENT')) return 0;
      throw error;
    }
    try {
      const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
      if (
        typeof parsed === 'object' &&
        parsed !== null &&
        'next' in parsed &&
        Number.isSafeInteger(parsed.next)
      ) {
        return Number(parsed.next);
      }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    // Cut off by a power failure: what is there is forwarded again, and recognised by its request ids.
    return 0;
  }

  #path(first: number): string {
    return join(this.#options.directory, nameOf(first));
  }
}

/** False where the disk, or a quota, is full. */
async function writeWhole(handle: FileHandle, bytes: Buffer, position: number): Promise<boolean> {
  try {
    const { bytesWritten } = await handle.write(bytes, 0, bytes.length, position);
    return bytesWritten === bytes.length;
  } catch (error) {
    if (isCode(error, 'ENOSPC') || isCode(error, 'EDQUOT')) return false;
    throw error;
  }
}

/** Makes new and renamed files in it durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
