import { decodeBase64 } from '../base64.ts';
import { decodeUtf8, formatHash } from '../canonical.ts';
import { JournalStateError, isJournalStateError } from '../errors.ts';
import { journalFrom } from '../journal-state.ts';
import type { JournalState, JournalStateOptions } from '../journal-state.ts';
import { parseOverlay } from '../parse/command.ts';
import { isRecord } from '../parse/fields.ts';
import type { JsonRecord } from '../parse/fields.ts';
import { readEntryFacts } from '../parse/plain-text.ts';
import type { VerifyLater } from '../log/chained-log.ts';
import type { Allocate } from '../log/segment-log.ts';
import type { RequestRecord } from '../tables/requests.ts';
import { CHUNK_SIZE } from '../tables/cow-table.ts';
import { Tables } from '../tables/tables.ts';
import type { AdminOperation, BootOverlay, ConfigEntry } from '../types.ts';
import { SNAPSHOT_FORMAT } from './capture.ts';
import type { SnapshotSummary } from './capture.ts';
import { parseNodeRecord, parseRequestRecord, parseSummary } from './records.ts';

type Table = 'summary' | 'nodes' | 'requests' | 'entries' | 'operations' | 'overlays';
/** What the summary promises of the other sections; the digest last, because it covers the others. */
const PROMISES = ['entries', 'nodes', 'operations', 'overlays', 'digest'] as const;
const ORDER: readonly Table[] = ['summary', 'nodes', 'requests', 'entries', 'operations', 'overlays'];

export interface RestoreOptions extends JournalStateOptions {
  /**
   * Leaves the hashes of entries to somebody else: called with all entries, about a mebibyte at a time, the last of them
   * by `finish`. `findBrokenLink` tells whether they are right; give it a copy. What `finish` returns must not be used
   * before they are.
   */
  readonly verifyLater?: VerifyLater;
  /** Memory for entries, a mebibyte or more at a time. For those who have some that was touched before. */
  readonly allocate?: Allocate;
}

/**
 * Builds a journal from a snapshot's sections, given in the order in which they were written:
 *
 *     const builder = new RestoreBuilder();
 *     for await (const { key, records } of sections) {
 *       builder.section(key);
 *       for await (const record of records) builder.record(record);
 *     }
 *     const journal = builder.finish();
 *
 * Every hash is checked on the way, and the whole against the digest of the journal that was captured. All methods
 * throw `JournalStateError` `snapshotDamaged` where something does not fit, or `snapshotUnsupported`; then the builder
 * is of no further use.
 */
export class RestoreBuilder {
  readonly #tables: Tables;
  readonly #verifyLater: VerifyLater | undefined;
  #summary: SnapshotSummary | undefined;
  #requests: RequestRecord[] = [];
  /** By a chunk's first position, the number of the change that made it what it is. */
  readonly #nodesChangedAt = new Map<number, number>();
  #key = '';
  #table: Table | undefined;

  constructor(options: RestoreOptions = {}) {
    this.#tables = new Tables(options.sha256, options.allocate);
    this.#verifyLater = options.verifyLater;
  }

  /** Begins the section with this key. */
  section(key: string): void {
    const name = key.split('/', 1)[0];
    const table = ORDER.find((candidate) => candidate === name);
    this.#key = key;
    if (table === undefined)
      this.#damaged(`is not a section of a journal's snapshot (format ${String(SNAPSHOT_FORMAT)})`);
    if (table !== 'summary' && this.#summary === undefined) this.#damaged('has no summary before it');
    if (this.#table !== undefined && ORDER.indexOf(table) < ORDER.indexOf(this.#table)) {
      this.#damaged(`comes after section ${this.#table}, must come before it`);
    }
    if (this.#table === 'requests' && table !== 'requests') this.#restoreRequests();
    this.#table = table;
    if (table === 'nodes') this.#beginNodes(key);
  }

  /** The section's next record. The bytes are copied where they are kept. */
  record(bytes: Uint8Array): void {
    if (this.#table === undefined) this.#damaged('a record came before any section');
    const text = this.#decode(bytes);
    try {
      if (this.#table === 'entries') this.#restoreEntry(bytes, text);
      else this.#restoreRecord(this.#table, bytes, text);
    } catch (cause) {
      if (isJournalStateError(cause) && cause.code.startsWith('snapshot')) throw cause;
      this.#damaged('has a record that does not belong here', cause);
    }
  }

  #restoreRecord(table: Exclude<Table, 'entries'>, bytes: Uint8Array, text: string): void {
    const json = this.#parse(text);
    switch (table) {
      case 'summary':
        this.#restoreSummary(json);
        break;
      case 'nodes':
        this.#tables.nodes.restore(parseNodeRecord(json));
        break;
      case 'requests':
        this.#requests.push(parseRequestRecord(json));
        break;
      case 'operations':
        this.#restoreOperation(bytes, text, json);
        break;
      case 'overlays':
        this.#restoreOverlay(parseOverlay(json));
        break;
    }
  }

  /** The restored journal. */
  finish(): JournalState {
    if (this.#table === 'requests') this.#restoreRequests();
    if (this.#verifyLater !== undefined) this.#tables.entries.allRestored(this.#verifyLater);
    const summary = this.#summary;
    if (summary === undefined) return this.#damaged('has no summary');
    this.#key = 'summary';
    this.#tables.clock = summary.clock;
    for (const cursor of summary.cursors ?? []) this.#tables.cursors.move(cursor);
    this.#tables.nodes.restoreChanges(summary.nodes_changes, this.#nodesChangedAt);
    const found = this.#tables.counts();
    for (const what of PROMISES) {
      if (summary[what] !== found[what]) {
        this.#damaged(
          `promises ${what} ${String(summary[what])}, the other sections give ${String(found[what])}`,
        );
      }
    }
    return journalFrom(this.#tables);
  }

  #decode(bytes: Uint8Array): string {
    try {
      return decodeUtf8(bytes);
    } catch (cause) {
      return this.#damaged('has a record that is not UTF-8', cause);
    }
  }

  #parse(text: string): JsonRecord {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (cause) {
      return this.#damaged('has a record that is not JSON', cause);
    }
    return isRecord(json) ? json : this.#damaged('has a record that is not an object');
  }

  #restoreSummary(json: JsonRecord): void {
    if (this.#summary !== undefined) this.#damaged('has more than one record');
    const { format } = json;
    if (typeof format !== 'number') this.#damaged('does not say its format');
    if (format !== SNAPSHOT_FORMAT) {
      const known = `this version reads format ${String(SNAPSHOT_FORMAT)}`;
      throw new JournalStateError('snapshotUnsupported', `snapshot: has format ${String(format)}, ${known}`);
    }
    this.#summary = parseSummary(json);
  }

  #beginNodes(key: string): void {
    const [, first, changedAt] = /^nodes\/(\d{12})-(\d{12,16})$/.exec(key) ?? [];
    if (Number(first) !== this.#tables.nodes.size || this.#tables.nodes.size % CHUNK_SIZE !== 0) {
      this.#damaged(`does not follow ${String(this.#tables.nodes.size)} nodes`);
    }
    this.#nodesChangedAt.set(Number(first), Number(changedAt));
  }

  #restoreRequests(): void {
    const total = this.#summary?.requests_total ?? 0;
    if (this.#requests.length > total)
      this.#damaged(`has more requests than there ever were (${String(total)})`);
    this.#tables.requests.restore(this.#requests, total);
    this.#requests = [];
  }

  #restoreEntry(bytes: Uint8Array, text: string): void {
    const facts = readEntryFacts(text);
    if (facts === undefined) {
      const json = this.#parse(text);
      this.#verifyEntry(bytes, text, json['sequence'], json['hash']);
      // Its hash proves that a journal wrote it, now or before anybody uses what is built here.
      const entry = json as unknown as ConfigEntry;
      const layer = this.#tables.scopes.layer(entry.scope);
      this.#tables.entries.restored(entry, entry.author.principal, layer);
      this.#tables.follow(entry, layer);
    } else {
      this.#verifyEntry(bytes, text, facts.sequence, facts.hash);
      const layer = this.#tables.scopes.layer(facts.scope);
      this.#tables.entries.restored(facts, facts.principal, layer);
      this.#tables.followConfig(facts, layer);
    }
  }

  #verifyEntry(bytes: Uint8Array, text: string, sequence: unknown, hash: unknown): void {
    const { entries } = this.#tables;
    const position = entries.length;
    if (sequence !== position)
      this.#damaged(`has entry ${String(sequence)} where ${String(position)} belongs`);
    if (typeof hash !== 'string' || !entries.restore(bytes, text, hash, this.#verifyLater)) {
      this.#damaged(
        `entry ${String(position)} does not have the hash that follows from it and its predecessor`,
      );
    }
  }

  #restoreOperation(bytes: Uint8Array, text: string, json: JsonRecord): void {
    const { operations } = this.#tables;
    const position = operations.length;
    if (json['audit_sequence'] !== position) {
      this.#damaged(`has operation ${String(json['audit_sequence'])} where ${String(position)} belongs`);
    }
    if (!operations.restore(bytes, text, json as unknown as AdminOperation)) {
      this.#damaged(
        `operation ${String(position)} does not have the hash that follows from it and its predecessor`,
      );
    }
  }

  #restoreOverlay({ vcluster_id, version, data: text, checksum, raw_size_bytes }: BootOverlay): void {
    const data = decodeBase64(text);
    if (data === undefined || formatHash(this.#tables.sha256(data)) !== checksum) {
      this.#damaged(`the overlay of vcluster ${vcluster_id} does not have its checksum`);
    }
    this.#tables.overlays.set({ vcluster_id, version, data, checksum, raw_size_bytes });
  }

  #damaged(what: string, cause?: unknown): never {
    throw new JournalStateError('snapshotDamaged', `snapshot section ${this.#key}: ${what}`, {
      path: this.#key,
      cause,
    });
  }
}
