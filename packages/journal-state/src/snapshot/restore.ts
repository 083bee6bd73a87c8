import { decodeBase64 } from '../base64.ts';
import { decodeUtf8, formatHash } from '../canonical.ts';
import { JournalStateError } from '../errors.ts';
import { JournalState } from '../journal-state.ts';
import type { JournalStateOptions } from '../journal-state.ts';
import { isRecord } from '../parse/fields.ts';
import type { NodeRecord } from '../tables/nodes.ts';
import type { RequestRecord } from '../tables/requests.ts';
import { Tables } from '../tables/tables.ts';
import type { AdminOperation, BootOverlay, ConfigEntry } from '../types.ts';
import { SNAPSHOT_FORMAT } from './capture.ts';
import type { SnapshotSummary } from './capture.ts';

type Table = 'summary' | 'nodes' | 'requests' | 'entries' | 'operations' | 'overlays';
const ORDER: readonly Table[] = ['summary', 'nodes', 'requests', 'entries', 'operations', 'overlays'];

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
  readonly #options: JournalStateOptions;
  readonly #tables: Tables;
  #summary: SnapshotSummary | undefined;
  #requests: RequestRecord[] = [];
  #key = '';
  #table: Table | undefined;

  constructor(options: JournalStateOptions = {}) {
    this.#options = options;
    this.#tables = new Tables(options.sha256);
  }

  /** Begins the section with this key. */
  section(key: string): void {
    const name = key.split('/', 1)[0];
    const table = ORDER.find((candidate) => candidate === name);
    this.#key = key;
    if (table === undefined)
      this.#damaged(`is not a section of a journal's snapshot (format ${String(SNAPSHOT_FORMAT)})`);
    if (this.#table !== undefined && ORDER.indexOf(table) < ORDER.indexOf(this.#table)) {
      this.#damaged(`comes after section ${this.#table}, must come before it`);
    }
    if (this.#table === 'requests' && table !== 'requests') this.#restoreRequests();
    this.#table = table;
  }

  /** The section's next record. The bytes are copied where they are kept. */
  record(bytes: Uint8Array): void {
    const json = this.#parse(bytes);
    switch (this.#table) {
      case 'summary':
        this.#restoreSummary(json);
        break;
      case 'nodes':
        this.#tables.nodes.restore(json as unknown as NodeRecord);
        break;
      case 'requests':
        this.#requests.push(json as unknown as RequestRecord);
        break;
      case 'entries':
        this.#restoreEntry(bytes, json as unknown as ConfigEntry);
        break;
      case 'operations':
        this.#restoreOperation(bytes, json as unknown as AdminOperation);
        break;
      case 'overlays':
        this.#restoreOverlay(json as unknown as BootOverlay);
        break;
      case undefined:
        this.#damaged('a record came before any section');
    }
  }

  /** The restored journal. */
  finish(): JournalState {
    if (this.#table === 'requests') this.#restoreRequests();
    const summary = this.#summary;
    if (summary === undefined) return this.#damaged('has no summary');
    this.#key = 'summary';
    this.#tables.clock = summary.clock;
    const { entries, nodes, operations, overlays, digest } = this.#tables.counts();
    const found: Partial<Record<string, number | string>> = { entries, nodes, operations, overlays, digest };
    for (const [what, expected] of Object.entries(summary)) {
      const actual = found[what];
      if (actual !== undefined && actual !== expected) {
        this.#damaged(`promises ${what} ${String(expected)}, the other sections give ${String(actual)}`);
      }
    }
    return new JournalState(this.#options, this.#tables);
  }

  #parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
    let json: unknown;
    try {
      json = JSON.parse(decodeUtf8(bytes));
    } catch (cause) {
      return this.#damaged('has a record that is not JSON', cause);
    }
    return isRecord(json) ? json : this.#damaged('has a record that is not an object');
  }

  #restoreSummary(json: Readonly<Record<string, unknown>>): void {
    if (this.#summary !== undefined) this.#damaged('has more than one record');
    const { format } = json;
    if (typeof format !== 'number') this.#damaged('does not say its format');
    if (format !== SNAPSHOT_FORMAT) {
      const known = `this version reads format ${String(SNAPSHOT_FORMAT)}`;
      throw new JournalStateError('snapshotUnsupported', `snapshot: has format ${String(format)}, ${known}`);
    }
    this.#summary = json as unknown as SnapshotSummary;
  }

  #restoreRequests(): void {
    this.#tables.requests.restore(this.#requests, this.#summary?.requests_total ?? 0);
    this.#requests = [];
  }

  #restoreEntry(bytes: Uint8Array, entry: ConfigEntry): void {
    const { entries, scopes } = this.#tables;
    if (entry.sequence !== entries.length) {
      this.#damaged(`has entry ${String(entry.sequence)} where ${String(entries.length)} belongs`);
    }
    const layer = scopes.layer(entry.scope);
    if (!entries.restore(bytes, entry, layer.number)) {
      this.#damaged(
        `entry ${String(entry.sequence)} does not have the hash that follows from it and its predecessor`,
      );
    }
    this.#tables.follow(entry, layer);
  }

  #restoreOperation(bytes: Uint8Array, operation: AdminOperation): void {
    const { operations } = this.#tables;
    const position = operations.length;
    if (operation.audit_sequence !== position) {
      this.#damaged(`has operation ${String(operation.audit_sequence)} where ${String(position)} belongs`);
    }
    if (!operations.restore(bytes, operation)) {
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
