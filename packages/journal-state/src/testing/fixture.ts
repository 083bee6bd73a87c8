import type { ApplyOutcome } from '../apply/outcome.ts';
import { JournalState } from '../journal-state.ts';
import type { JournalStateOptions } from '../journal-state.ts';
import { timestampToMs, msToTimestamp } from '../timestamp.ts';
import type {
  BootOverlay,
  CommandEnvelope,
  CommandResult,
  ConfigState,
  EntrySeq,
  JournalCommand,
  NewAdminOperation,
  NewConfigEntry,
  Timestamp,
  VClusterPolicy,
} from '../types.ts';
import { RestoreBuilder } from '../snapshot/restore.ts';
import type { JournalSnapshot } from '../snapshot/capture.ts';
import { TEST_EPOCH, anEnvelope, anIdentity } from './builders.ts';

/**
 * A journal with a clock, for tests that are about something else: commands are applied one second apart, and one that
 * is refused throws. What was applied is kept in `log`, to be replayed on another replica.
 */
export class JournalFixture {
  readonly journal: JournalState;
  readonly log: CommandEnvelope[] = [];
  #time: Timestamp;

  constructor(options: JournalStateOptions & { readonly time?: Timestamp } = {}) {
    this.journal = new JournalState(options);
    this.#time = options.time ?? TEST_EPOCH;
  }

  get time(): Timestamp {
    return this.#time;
  }

  /** Moves the clock. */
  advance(seconds: number): void {
    this.#time = msToTimestamp((timestampToMs(this.#time) ?? 0) + seconds * 1000);
  }

  /** Applies a command, whatever comes of it. */
  try(command: JournalCommand, requestId?: string): ApplyOutcome {
    const envelope = anEnvelope(command, this.#time, requestId);
    this.log.push(envelope);
    this.advance(1);
    return this.journal.apply(envelope);
  }

  #do(command: JournalCommand): CommandResult {
    const { result } = this.try(command);
    if (result.type === 'ValidationError')
      throw new Error(`${command.type} was refused: ${result.code}: ${result.reason}`);
    return result;
  }

  #sequenceOf(command: JournalCommand): EntrySeq {
    const result = this.#do(command);
    if (result.type !== 'EntryAppended') throw new Error(`${command.type} appended no entry`);
    return result.sequence;
  }

  /** Appends an entry and returns its sequence. */
  append(entry: NewConfigEntry): EntrySeq {
    return this.#sequenceOf({ type: 'AppendEntry', entry });
  }

  setPolicy(policy: VClusterPolicy, message?: string): EntrySeq {
    const words = message === undefined ? {} : { message };
    return this.#sequenceOf({
      type: 'SetPolicy',
      vcluster_id: policy.vcluster_id,
      policy,
      author: anIdentity(),
      ...words,
    });
  }

  assign(nodeId: string, vclusterId: string | null): void {
    this.#do({ type: 'AssignNode', node_id: nodeId, vcluster_id: vclusterId });
  }

  setState(nodeId: string, state: ConfigState): void {
    this.#do({ type: 'UpdateNodeState', node_id: nodeId, state });
  }

  setOverlay(overlay: BootOverlay): void {
    this.#do({ type: 'SetOverlay', overlay });
  }

  record(operation: NewAdminOperation): void {
    this.#do({ type: 'RecordOperation', operation });
  }

  /** Ends all ttls that have run out, as the leader does, and returns the sequences of the Rollbacks. */
  expire(): readonly EntrySeq[] {
    return this.journal.dueExpirations(this.#time).map((command) => this.#sequenceOf(command));
  }
}

/** What a restore from a snapshot gives. */
export function restoreFrom(snapshot: JournalSnapshot, options: JournalStateOptions = {}): JournalState {
  const builder = new RestoreBuilder(options);
  for (const section of snapshot.sections) {
    builder.section(section.key);
    for (const record of section.records()) builder.record(record);
  }
  return builder.finish();
}
