/** The journal as raft-core's state machine: the one place where the two meet. */
import {
  decodeCommand,
  JournalState,
  type CommandResult,
  type StateChanges,
} from '@pact-journal/journal-state';
import { nativeSha256, restoreJournal, type SnapshotSections } from '@pact-journal/journal-state/node';
import type { Entry, SnapshotContent, StateMachine } from '@pact-journal/raft-core';
import type { Checkpoints } from './checkpoints.ts';
import { MARK_INTERVAL } from './checkpoints.ts';
import type { Logger } from './log.ts';
import type { Tracing } from './tracing.ts';

/** Of an encoded command; undefined where it has none. */
function requestIdIn(data: Uint8Array): string | undefined {
  try {
    return decodeCommand(data).request_id;
  } catch {
    return undefined;
  }
}

/** Told, after a batch of commands was applied, what each of them changed. */
export type ChangesListener = (changes: readonly StateChanges[]) => void;

export interface JournalMachineOptions {
  readonly log?: Logger;
  readonly tracing?: Tracing | undefined;
  readonly checkpoints?: Checkpoints;
}

export class JournalMachine implements StateMachine<CommandResult> {
  #state = new JournalState({ sha256: nativeSha256 });
  readonly #log: Logger | undefined;
  readonly #tracing: Tracing | undefined;
  readonly #listeners = new Set<ChangesListener>();
  readonly #replaced = new Set<() => void>();
  /** Undefined where nobody wants to know earlier states. */
  readonly #checkpoints: Checkpoints | undefined;

  /** With a log, what is applied is told at level debug; with tracing, as spans. */
  constructor(options: JournalMachineOptions = {}) {
    this.#log = options.log;
    this.#tracing = options.tracing;
    this.#checkpoints = options.checkpoints;
  }

  /** The replica's state now. A snapshot from a peer replaces it as a whole, so do not keep it. */
  get state(): JournalState {
    return this.#state;
  }

  /** Returns how to stop it. A listener must not throw. */
  onChanges(listener: ChangesListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back after a snapshot has replaced the state. Returns how to stop it. */
  onReplaced(listener: () => void): () => void {
    this.#replaced.add(listener);
    return () => this.#replaced.delete(listener);
  }

  apply(entries: readonly Entry[]): readonly CommandResult[] {
    const results: CommandResult[] = [];
    const changes: StateChanges[] = [];
    const startedMs = this.#tracing === undefined ? 0 : performance.now();
    for (const entry of entries) {
      const outcome = this.#state.applyBytes(entry.data);
      results.push(outcome.result);
      changes.push(outcome.changes);
      if (entry.index % MARK_INTERVAL === 0) this.#checkpoints?.mark(entry.index, this.#state);
    }
    for (const listener of this.#listeners) listener(changes);
    if (this.#tracing !== undefined || this.#log?.isLevelEnabled('debug') === true) {
      this.#tell(entries, results, performance.now() - startedMs);
    }
    return results;
  }

  #tell(entries: readonly Entry[], results: readonly CommandResult[], durationMs: number): void {
    for (const [at, { index, term, data }] of entries.entries()) {
      const requestId = requestIdIn(data);
      this.#log?.debug({ request_id: requestId, index, term, result: results[at] }, 'applied');
      if (requestId !== undefined) this.#tracing?.ended('apply', durationMs, requestId, { index, term });
    }
  }

  snapshot(): SnapshotContent {
    return this.#state.snapshot();
  }

  async restore(sections: SnapshotSections): Promise<void> {
    this.#state = await restoreJournal(sections);
    this.#checkpoints?.clear();
    for (const listener of this.#replaced) listener();
  }
}
