import { decodeUtf8, detached } from '../canonical.ts';
import type { Sha256 } from '../canonical.ts';
import { JournalStateError, assert } from '../errors.ts';
import { ENTRY_SIZE_BYTES_MAX } from '../limits.ts';
import { ENTRY_TYPES } from '../parse/entry.ts';
import { entrySeq } from '../parse/fields.ts';
import type { EntryText } from '../parse/plain-text.ts';
import type { ConfigEntry, EntrySeq, EntryType, NewConfigEntry, Timestamp } from '../types.ts';
import { ChainedLog } from './chained-log.ts';
import type { VerifyLater } from './chained-log.ts';
import { GrowableUint32 } from './growable.ts';
import type { Indexed } from './growable.ts';
import type { Allocate } from './segment-log.ts';

const CACHE_SLOTS = 256;
const CACHED_SIZE_BYTES_MAX = 16 * 1024;
/** Positions are kept in 32 bits: four thousand million entries, two terabytes of them. */
const ENTRIES_MAX = 0xffff_fffe;

const TYPE_NUMBERS: ReadonlyMap<EntryType, number> = new Map(
  ENTRY_TYPES.map((type, number) => [type, number]),
);

type IndexedEntry = Pick<ConfigEntry, 'sequence' | 'entry_type'>;

/** What only the journal itself writes into an entry. */
export type EntryExtras = Pick<ConfigEntry, 'policy' | 'proposal' | 'decision'>;

/** An entry's scope, and where its own entries are. */
export interface ScopePosition {
  readonly number: number;
  /** Sequence of the scope's newest entry so far; -1 where there is none. */
  readonly newest: number;
}

/**
 * All entries, as canonical JSON bytes, with indexes by scope, type and author. An entry is parsed when it is asked
 * for, and kept for a while: what is new is asked for by many.
 */
export class EntryLog {
  readonly #chain: ChainedLog;
  readonly #types = new GrowableUint32();
  readonly #scopes = new GrowableUint32();
  /** For each entry, one more than the entry before it of the same scope; 0 for the first. */
  readonly #previous = new GrowableUint32();
  readonly #authors = new GrowableUint32();
  readonly #byType = ENTRY_TYPES.map(() => new GrowableUint32());
  readonly #byAuthor: GrowableUint32[] = [];
  readonly #authorNumbers = new Map<string, number>();
  readonly #cache: (ConfigEntry | undefined)[] = new Array<ConfigEntry | undefined>(CACHE_SLOTS);

  constructor(sha256: Sha256, allocate?: Allocate) {
    this.#chain = new ChainedLog(sha256, allocate);
  }

  get length(): number {
    return this.#chain.length;
  }

  get headHash(): string {
    return this.#chain.headHash;
  }

  get segments(): ChainedLog['log'] {
    return this.#chain.log;
  }

  /**
   * Appends an entry in its normal form. `text` is what its canonical JSON consists of, where it is known and there is
   * nothing extra.
   * @throws JournalStateError `tooLarge`; then nothing is appended
   */
  append(
    entry: NewConfigEntry,
    timestamp: Timestamp,
    scope: ScopePosition,
    extras: EntryExtras = NO_EXTRAS,
    text?: EntryText,
  ): ConfigEntry {
    const unhashed =
      extras === NO_EXTRAS && entry.expires === undefined
        ? plainEntry(entry, timestamp, entrySeq(this.length))
        : specialEntry(entry, timestamp, entrySeq(this.length), extras);
    const json = text === undefined ? JSON.stringify(unhashed) : assembled(text, unhashed);
    const split =
      text === undefined
        ? json.indexOf(entry.message === undefined ? ',"parent":' : ',"message":')
        : text.beforeHash.length;
    const size = this.#chain.prepare(json, split);
    if (size > ENTRY_SIZE_BYTES_MAX) {
      const limit = String(ENTRY_SIZE_BYTES_MAX);
      throw new JournalStateError(
        'tooLarge',
        `entry: has ${String(size)} bytes, may have ${limit}; split the change`,
      );
    }
    const appended = withHash(unhashed, this.#chain.commit());
    this.#index(appended, entry.author.principal, scope);
    return appended;
  }

  /**
   * Appends an entry read back from a snapshot, if its hash follows from its bytes and predecessor; else false. With
   * `verify` that is not known yet.
   */
  restore(bytes: Uint8Array, text: string, hash: string, verify?: VerifyLater): boolean {
    return verify === undefined
      ? this.#chain.appendVerified(bytes, text, hash)
      : this.#chain.appendClaimed(bytes, text, hash, verify);
  }

  /** All entries have been restored. */
  allRestored(verify: VerifyLater): void {
    this.#chain.claimed(verify);
  }

  /** Indexes the newest entry after `restore`. */
  restored(entry: IndexedEntry, principal: string, scope: ScopePosition): void {
    this.#index(entry, principal, scope);
  }

  #index(entry: IndexedEntry, principal: string, scope: ScopePosition): void {
    assert(entry.sequence < ENTRIES_MAX, 'sequences fit in 32 bits');
    const type = TYPE_NUMBERS.get(entry.entry_type) ?? 0;
    const author = this.#authorNumber(principal);
    this.#types.push(type);
    this.#scopes.push(scope.number);
    this.#previous.push(scope.newest + 1);
    this.#authors.push(author);
    this.#byType[type]?.push(entry.sequence);
    this.#byAuthor[author]?.push(entry.sequence);
  }

  #authorNumber(principal: string): number {
    const known = this.#authorNumbers.get(principal);
    if (known !== undefined) return known;
    const number = this.#byAuthor.length;
    // A restore cuts principals out of the entries' texts.
    this.#authorNumbers.set(detached(principal), number);
    this.#byAuthor.push(new GrowableUint32());
    return number;
  }

  /** The entry, which must exist. */
  get(sequence: number): ConfigEntry {
    const cached = this.#cache[sequence % CACHE_SLOTS];
    if (cached?.sequence === sequence) return cached;
    const bytes = this.#chain.log.record(sequence);
    // What is in the log was written by `append`, or its hash is proven before anybody uses this log.
    const entry = JSON.parse(decodeUtf8(bytes)) as ConfigEntry;
    if (bytes.length <= CACHED_SIZE_BYTES_MAX) this.#cache[sequence % CACHE_SLOTS] = entry;
    return entry;
  }

  typeOf(sequence: number): EntryType {
    return ENTRY_TYPES[this.#types.at(sequence)] ?? 'Commit';
  }

  scopeNumberOf(sequence: number): number {
    return this.#scopes.at(sequence);
  }

  /** The entry before this one of the same scope; -1 where there is none. */
  previousOfScope(sequence: number): number {
    return this.#previous.at(sequence) - 1;
  }

  authorNumberOf(sequence: number): number {
    return this.#authors.at(sequence);
  }

  /** A principal's number, or undefined if it has written no entry. */
  findAuthor(principal: string): number | undefined {
    return this.#authorNumbers.get(principal);
  }

  /** Ascending sequences of a type's entries. */
  ofType(type: EntryType): Indexed {
    return this.#byType[TYPE_NUMBERS.get(type) ?? 0] ?? [];
  }

  /** Ascending sequences of an author's entries. */
  ofAuthor(author: number): Indexed {
    return this.#byAuthor[author] ?? [];
  }
}

const NO_EXTRAS: EntryExtras = {};

type Unhashed = Omit<ConfigEntry, 'hash'> & { hash?: string | undefined };

/**
 * Nearly all entries. Written out, with room for the hash, which JSON leaves out as long as it is undefined: what a
 * spread or a field added later costs would show with a million of them.
 */
function plainEntry(entry: NewConfigEntry, timestamp: Timestamp, sequence: EntrySeq): Unhashed {
  const { author, emergency_reason, entry_type, message } = entry;
  const { parent, policy_ref, scope, state_delta, ttl_seconds } = entry;
  if (message === undefined) {
    return {
      author,
      emergency_reason,
      entry_type,
      hash: undefined,
      parent,
      policy_ref,
      scope,
      sequence,
      state_delta,
      timestamp,
      ttl_seconds,
    };
  }
  return {
    author,
    emergency_reason,
    entry_type,
    hash: undefined,
    message,
    parent,
    policy_ref,
    scope,
    sequence,
    state_delta,
    timestamp,
    ttl_seconds,
  };
}

/** The entry's canonical JSON without its hash. */
function assembled({ beforeHash, beforeSequence, stateDelta }: EntryText, entry: Unhashed): string {
  const { sequence, timestamp } = entry;
  return `${beforeHash}${beforeSequence},"sequence":${String(sequence)},"state_delta":${stateDelta},"timestamp":"${timestamp}","ttl_seconds":null}`;
}

/** An entry with something that only few have. */
function specialEntry(
  entry: NewConfigEntry,
  timestamp: Timestamp,
  sequence: EntrySeq,
  { policy, proposal, decision }: EntryExtras,
): Unhashed {
  return {
    author: entry.author,
    ...(decision === undefined ? undefined : { decision }),
    emergency_reason: entry.emergency_reason,
    entry_type: entry.entry_type,
    ...(entry.expires === undefined ? undefined : { expires: entry.expires }),
    ...(entry.message === undefined ? undefined : { message: entry.message }),
    parent: entry.parent,
    ...(policy === undefined ? undefined : { policy }),
    policy_ref: entry.policy_ref,
    ...(proposal === undefined ? undefined : { proposal }),
    scope: entry.scope,
    sequence,
    state_delta: entry.state_delta,
    timestamp,
    ttl_seconds: entry.ttl_seconds,
  };
}

/** Completes the object itself: a copy for each of a million entries would cost more than all the rest of it. */
function withHash(entry: Unhashed, hash: string): ConfigEntry {
  entry.hash = hash;
  return entry as ConfigEntry;
}
