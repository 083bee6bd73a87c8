/** This node's part in the continuous export: the whole of it while it leads, and restore points on demand at any time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toLogIndex, type LogStore, type RaftNode, type SnapshotStore } from '@pact-journal/raft-core';
import type { ServerConfig } from '../../config/index.ts';
import { BackupError, isBackupError } from '../../backup/errors.ts';
import { timeOfCommandFrom, type CommittedLog } from '../../backup/export/committed-log.ts';
import { Exporter, type ExportPart } from '../../backup/export/exporter.ts';
import { LagClock } from '../../backup/export/lag.ts';
import { SnapshotUploader, type SnapshotUpload } from '../../backup/export/snapshot-upload.ts';
import { Repository } from '../../backup/format/repository.ts';
import { openStore } from '../../backup/store/open-store.ts';
import type { Alarms } from '../alarms.ts';
import { checkpointOf, type Checkpoints } from '../checkpoints.ts';
import type { JournalMachine } from '../journal-machine.ts';
import type { Logger } from '../log.ts';

export interface BackupStatus {
  /** As the configuration has it; empty where none is configured. */
  readonly url: string;
  readonly exporting: boolean;
  /** Everything up to this index can be restored; undefined where this node does not know. */
  readonly exportedIndex: number | undefined;
  readonly lagEntries: number | undefined;
  readonly lagSeconds: number | undefined;
  /** Why the export fails at the moment. */
  readonly failure: string | undefined;
  readonly lastSnapshot: Date | undefined;
  readonly sentBytes: number;
  /** Failures since the server was started, by code. */
  readonly failures: ReadonlyMap<string, number>;
}

interface Opened {
  readonly exporter: Exporter;
  readonly uploader: SnapshotUploader;
  close(): void;
}

/** What is exported, and who knows whether this node leads. */
export interface ExportedGroup {
  readonly node: Pick<RaftNode<unknown>, 'on' | 'status' | 'snapshot' | 'linearizableRead'>;
  readonly snapshots: Pick<SnapshotStore, 'read' | 'load'>;
  readonly logStore: Pick<LogStore, 'firstIndex' | 'entries'>;
}

export interface BackupExportOptions {
  readonly config: Pick<ServerConfig, 'backup' | 'cluster' | 'node'>;
  readonly group: ExportedGroup;
  readonly machine: JournalMachine;
  readonly checkpoints: Checkpoints;
  readonly alarms: Alarms;
  readonly log: Logger;
  /** Why this replica must not be exported; undefined while nothing speaks against it. */
  readonly refusal: () => string | undefined;
}

const ALARM = 'backupFailing';
const LAG_ALARM = 'backupLagging';
/** A lag of this long is an alarm although nothing has failed: the store is too slow. */
const LAG_ALARM_SECONDS = 60;
const LAG_CHECK_MS = 5_000;
/** A leader that cannot begin to export tries again after this. */
const BEGIN_RETRY_MS = 1_000;

export class BackupExport {
  readonly #options: BackupExportOptions;
  readonly #lag: LagClock;
  readonly #failures = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #committed: CommittedLog;
  #opened: Promise<Opened> | undefined;
  #exporting = false;
  #exportedIndex: number | undefined;
  /** Why each part of the export fails at the moment. */
  readonly #failing = new Map<ExportPart, string>();
  #lastSnapshot: Date | undefined;
  #sentBytes = 0;
  #leadership = 0;
  #lagTimer: NodeJS.Timeout | undefined;

  constructor(options: BackupExportOptions) {
    this.#options = options;
    this.#committed = committedLog(options);
    this.#lag = new LagClock((index) => ageMs(timeOfCommandFrom(this.#committed, index)));
    if (options.config.backup.url === '') return;
    const { node } = options.group;
    node.on('applied', ({ toIndex }) => this.#lag.applied(toIndex, performance.now()));
    node.on('roleChange', ({ role }) => {
      if (role === 'leader') void this.#begin();
      else this.#end();
    });
    if (node.status().role === 'leader') void this.#begin();
    this.#lagTimer = setInterval(() => this.#watchLag(), LAG_CHECK_MS).unref();
  }

  status(): BackupStatus {
    const exporting = this.#exporting && this.#exportedIndex !== undefined;
    return {
      url: this.#options.config.backup.url,
      exporting: this.#exporting,
      exportedIndex: this.#exportedIndex,
      lagEntries: exporting ? this.#lag.entries : undefined,
      lagSeconds: exporting ? this.#lag.seconds(performance.now()) : undefined,
      failure: this.#failure(),
      lastSnapshot: this.#lastSnapshot,
      sentBytes: this.#sentBytes,
      failures: this.#failures,
    };
  }

  /** A restore point of this node's state now. Rejects with `BackupError`. */
  async create(signal: AbortSignal): Promise<SnapshotUpload> {
    const { uploader } = await this.#open();
    const upload = await uploader.upload(undefined, AbortSignal.any([signal, this.#stopping.signal]));
    this.#noteSnapshot(upload.sentBytes);
    return upload;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#lagTimer);
    this.#exporting = false;
    if (this.#opened === undefined) return;
    const opened = await this.#opened.catch(() => undefined);
    await opened?.exporter.stop();
    opened?.close();
  }

  /** Begins as soon as that is possible, for as long as this leadership lasts. */
  async #begin(): Promise<void> {
    this.#leadership += 1;
    const leadership = this.#leadership;
    const leads = (): boolean => leadership === this.#leadership && !this.#stopping.signal.aborted;
    while (leads()) {
      try {
        const exporter = await this.#prepare();
        if (!leads()) return;
        const { term, appliedIndex } = this.#options.group.node.status();
        this.#exporting = true;
        this.#lag.applied(appliedIndex, performance.now());
        this.#lag.began();
        return exporter.start(term);
      } catch (error) {
        if (!leads()) return;
        this.#failed('log', error);
      }
      await sleep(BEGIN_RETRY_MS, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** Rejects where this node cannot export now. */
  async #prepare(): Promise<Exporter> {
    const { group, refusal } = this.#options;
    const reason = refusal();
    if (reason !== undefined) throw new BackupError('astray', reason);
    // What earlier leaders committed is applied here before the export goes on.
    await group.node.linearizableRead();
    return (await this.#open()).exporter;
  }

  #end(): void {
    this.#leadership += 1;
    this.#exporting = false;
    this.#exportedIndex = undefined;
    this.#recovered('log');
    this.#recovered('snapshot');
    void this.#opened?.then(({ exporter }) => exporter.stop()).catch(() => undefined);
  }

  /** Once: connections and what was learnt of the store are kept. */
  #open(): Promise<Opened> {
    this.#opened ??= this.#connect();
    return this.#opened;
  }

  async #connect(): Promise<Opened> {
    const { config, group } = this.#options;
    const { backup, cluster, node } = config;
    const store = await openStore(backup.url);
    const repository = new Repository(store);
    const take = (): ReturnType<typeof group.node.snapshot> => group.node.snapshot();
    const uploader = new SnapshotUploader({
      repository,
      clusterId: cluster.id,
      nodeId: node.id,
      snapshots: group.snapshots,
      take,
      now: () => new Date().toISOString(),
    });
    const exporter = new Exporter({
      repository,
      clusterId: cluster.id,
      nodeId: node.id,
      log: this.#committed,
      uploader,
      take,
      intervalMs: backup.interval,
      snapshotIntervalMs: backup.snapshotInterval,
      retention: { keepCount: backup.keepCount, keepAgeMs: backup.keepAge },
      refusal: this.#options.refusal,
      observer: {
        exported: (index) => {
          this.#exportedIndex = index;
          this.#lag.exported(index);
        },
        sent: (sizeBytes) => (this.#sentBytes += sizeBytes),
        snapshot: (index, sentBytes) => {
          this.#noteSnapshot(sentBytes);
          this.#options.log.info({ index, sent_bytes: sentBytes }, 'restore point exported');
        },
        failed: (part, error) => this.#failed(part, error),
        recovered: (part) => this.#recovered(part),
      },
    });
    return { exporter, uploader, close: () => store.close() };
  }

  #noteSnapshot(sentBytes: number): void {
    this.#lastSnapshot = new Date();
    this.#sentBytes += sentBytes;
  }

  #failure(): string | undefined {
    return this.#failing.get('log') ?? this.#failing.get('snapshot');
  }

  #failed(part: ExportPart, error: unknown): void {
    const { alarms, log } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    const code = isBackupError(error) ? error.code : 'internal';
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
    if (this.#failing.get(part) !== reason)
      log.warn({ err: error, code, part }, `the backup fails: ${reason}`);
    this.#failing.set(part, reason);
    const reach =
      this.#exportedIndex === undefined
        ? 'how far it reaches is not known here'
        : `it reaches log index ${String(this.#exportedIndex)}`;
    alarms.raise(ALARM, `the backup fails and is tried again: ${reason}; ${reach}`);
  }

  #recovered(part: ExportPart): void {
    const { alarms, log } = this.#options;
    if (this.#failing.delete(part)) log.info({ part }, 'the backup goes on');
    if (this.#failing.size === 0) alarms.clear(ALARM);
  }

  #watchLag(): void {
    const { alarms } = this.#options;
    const { lagSeconds = 0, lagEntries = 0 } = this.status();
    if (lagSeconds < LAG_ALARM_SECONDS) return alarms.clear(LAG_ALARM);
    alarms.raise(
      LAG_ALARM,
      `the backup is ${String(Math.round(lagSeconds))} s and ${String(lagEntries)} entries behind; the store is too slow or does not answer`,
    );
  }
}

/** The log of this node's group, and the states that are known along it. */
function committedLog({ group, machine, checkpoints }: BackupExportOptions): CommittedLog {
  const { node, logStore } = group;
  // The status costs too much to be asked for with every batch.
  let applied: number = node.status().appliedIndex;
  const listeners = new Set<() => void>();
  node.on('applied', ({ toIndex }) => {
    applied = toIndex;
    for (const listener of listeners) listener();
  });
  node.on('snapshotInstalled', ({ snapshot }) => (applied = Math.max(applied, snapshot.meta.index)));
  return {
    firstIndex: () => logStore.firstIndex(),
    appliedIndex: () => applied,
    entries: (low, high, maxSizeBytes) => logStore.entries(toLogIndex(low), toLogIndex(high), maxSizeBytes),
    // Between the marks only the present state is known, which is what an export that keeps up ends with.
    checkpoint: (atOrBefore) =>
      atOrBefore === applied ? checkpointOf(applied, machine.state) : checkpoints.atOrBefore(atOrBefore),
    onApplied: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function ageMs(time: string | undefined): number {
  return time === undefined ? 0 : Date.now() - Date.parse(time);
}
