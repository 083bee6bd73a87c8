/**
 * Where each entry is: in memory, because a million entries must be found in no time, and compact, because there are a
 * million. Four bytes an entry and sixteen a file; terms are kept as runs, for they change once in a blue moon.
 */

/** A growable array of numbers that can lose elements at either end. */
class NumberDeque {
  #values: Uint32Array | Float64Array;
  #start = 0;
  #length = 0;

  constructor(values: Uint32Array | Float64Array) {
    this.#values = values;
  }

  get length(): number {
    return this.#length;
  }

  at(position: number): number {
    return position >= 0 && position < this.#length ? (this.#values[this.#start + position] ?? 0) : 0;
  }

  push(value: number): void {
    if (this.#start + this.#length === this.#values.length) this.#makeRoom();
    this.#values[this.#start + this.#length++] = value;
  }

  dropFront(count: number): void {
    this.#start += count;
    this.#length -= count;
  }

  keepFront(length: number): void {
    this.#length = length;
  }

  #makeRoom(): void {
    const live = this.#values.subarray(this.#start, this.#start + this.#length);
    const capacity = Math.max(1024, Math.ceil(this.#length * 1.5));
    const grown =
      this.#values instanceof Uint32Array ? new Uint32Array(capacity) : new Float64Array(capacity);
    grown.set(live);
    this.#values = grown;
    this.#start = 0;
  }
}

interface TermRun {
  readonly from: number;
  readonly term: number;
}

/** A stretch of entries in one file. */
export interface FileSlice {
  /** Index of the file's first entry, which is its name. */
  readonly file: number;
  /** Offset of the first entry's line. */
  readonly offset: number;
  /** One past the last entry that is in this file. */
  readonly endIndex: number;
  /** Size of the whole file. */
  readonly sizeBytes: number;
}

/** A file of which every entry is compacted. */
export interface CompactedFile {
  /** Index of its first entry, which is its name. */
  readonly file: number;
  readonly sizeBytes: number;
}

export class LogIndex {
  /** Index of the entry that `#offsets` starts with: the first one in the first file, maybe a compacted one. */
  #base: number;
  #firstIndex: number;
  #compactedTerm: number;
  readonly #offsets = new NumberDeque(new Uint32Array(1024));
  readonly #files = new NumberDeque(new Float64Array(1024));
  readonly #fileSizes = new NumberDeque(new Float64Array(1024));
  #fileBytes = 0;
  #terms: TermRun[] = [];

  constructor(compactedIndex: number, compactedTerm: number) {
    this.#base = compactedIndex + 1;
    this.#firstIndex = compactedIndex + 1;
    this.#compactedTerm = compactedTerm;
  }

  get firstIndex(): number {
    return this.#firstIndex;
  }

  get lastIndex(): number {
    return this.#base + this.#offsets.length - 1;
  }

  get fileCount(): number {
    return this.#files.length;
  }

  get compactedTerm(): number {
    return this.#compactedTerm;
  }

  get lastTerm(): number {
    return this.#terms.at(-1)?.term ?? this.#compactedTerm;
  }

  /** Size of all files together. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Begins a file whose first entry is the next one. Only the very first file may start before `firstIndex`. */
  addFile(firstIndex: number, sizeBytes: number): void {
    if (this.#files.length === 0 && this.#offsets.length === 0) this.#base = firstIndex;
    if (firstIndex !== this.lastIndex + 1)
      throw new Error(`file ${firstIndex} does not follow entry ${this.lastIndex}`);
    this.#files.push(firstIndex);
    this.#fileSizes.push(sizeBytes);
    this.#fileBytes += sizeBytes;
  }

  /** Adds the next entry, which is in the file added last. */
  addEntry(offset: number, term: number): void {
    this.#offsets.push(offset);
    if (this.#terms.at(-1)?.term !== term) this.#terms.push({ from: this.lastIndex, term });
  }

  /** Term of a held entry or of the compaction point; undefined for any other index. */
  term(index: number): number | undefined {
    if (index === this.#firstIndex - 1) return this.#compactedTerm;
    if (index < this.#firstIndex || index > this.lastIndex) return undefined;
    return this.#rawTerm(index);
  }

  #rawTerm(index: number): number {
    let low = 0;
    let high = this.#terms.length;
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if ((this.#terms[middle]?.from ?? Infinity) <= index) low = middle;
      else high = middle;
    }
    return this.#terms[low]?.term ?? this.#compactedTerm;
  }

  /** Position in `#files` of the file that holds `index`. */
  #filePosition(index: number): number {
    let low = 0;
    let high = this.#files.length;
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if (this.#files.at(middle) <= index) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Where entry `index` is. It must be held, or be in the first file although compacted. */
  locate(index: number): FileSlice {
    if (index < this.#base || index > this.lastIndex) throw new Error(`entry ${index} is not in the index`);
    const position = this.#filePosition(index);
    const endIndex = position + 1 < this.#files.length ? this.#files.at(position + 1) : this.lastIndex + 1;
    return {
      file: this.#files.at(position),
      offset: this.#offsets.at(index - this.#base),
      endIndex,
      sizeBytes: this.#fileSizes.at(position),
    };
  }

  /** Offset of a held entry's line in its file. */
  offset(index: number): number {
    return this.#offsets.at(index - this.#base);
  }

  /**
   * Forgets entries from `index` on. Returns the files that lose all their entries, and the one that loses some: it is
   * to be rewritten, and {@link replaceLastFile} told.
   */
  truncate(index: number): { readonly removed: readonly number[]; readonly cut: number | undefined } {
    const inside = index <= this.lastIndex;
    const removed: number[] = [];
    let count = this.#files.length;
    while (count > 0 && this.#files.at(count - 1) >= index) removed.push(this.#files.at(--count));
    this.#keepFiles(count);
    this.#offsets.keepFront(Math.max(0, index - this.#base));
    while ((this.#terms.at(-1)?.from ?? -1) >= index) this.#terms.pop();
    return { removed, cut: inside && removed.at(-1) !== index ? this.#files.at(count - 1) : undefined };
  }

  /** The last file was rewritten with the entries it has now. */
  replaceLastFile(offsets: readonly number[], sizeBytes: number): void {
    const position = this.#files.length - 1;
    const from = this.#files.at(position) - this.#base;
    if (offsets.length !== this.#offsets.length - from)
      throw new Error('the rewritten file has another number of entries');
    this.#offsets.keepFront(from);
    for (const offset of offsets) this.#offsets.push(offset);
    this.#fileBytes += sizeBytes - this.#fileSizes.at(position);
    this.#fileSizes.keepFront(position);
    this.#fileSizes.push(sizeBytes);
  }

  #keepFiles(count: number): void {
    for (let position = count; position < this.#files.length; position++)
      this.#fileBytes -= this.#fileSizes.at(position);
    this.#files.keepFront(count);
    this.#fileSizes.keepFront(count);
  }

  /** Forgets entries up to `index`. Returns the files that are needed no more, oldest first. */
  compact(index: number): readonly CompactedFile[] {
    const term = this.term(index);
    if (term === undefined) throw new Error(`compacting up to ${index}, which is not held`);
    this.#compactedTerm = term;
    this.#firstIndex = index + 1;
    const removed: CompactedFile[] = [];
    let position = 0;
    while (position < this.#files.length) {
      const end = position + 1 < this.#files.length ? this.#files.at(position + 1) : this.lastIndex + 1;
      if (end > index + 1) break;
      const sizeBytes = this.#fileSizes.at(position);
      this.#fileBytes -= sizeBytes;
      removed.push({ file: this.#files.at(position++), sizeBytes });
    }
    const newBase = position < this.#files.length ? this.#files.at(position) : index + 1;
    this.#files.dropFront(position);
    this.#fileSizes.dropFront(position);
    this.#offsets.dropFront(newBase - this.#base);
    this.#base = newBase;
    let keep = 0;
    while (keep + 1 < this.#terms.length && (this.#terms[keep + 1]?.from ?? Infinity) <= this.#base) keep++;
    if (this.#offsets.length === 0) this.#terms = [];
    else if (keep > 0) this.#terms = this.#terms.slice(keep);
    return removed;
  }

  /** Forgets everything; the next entry is the one after `index`. Returns the files that are needed no more. */
  reset(index: number, term: number): readonly number[] {
    const removed = Array.from({ length: this.#files.length }, (_, position) => this.#files.at(position));
    this.#keepFiles(0);
    this.#offsets.keepFront(0);
    this.#terms = [];
    this.#base = index + 1;
    this.#firstIndex = index + 1;
    this.#compactedTerm = term;
    return removed;
  }
}
