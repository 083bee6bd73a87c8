/** Takes snapshots of the state machine, one at a time, beside everything else. */
import type { ConfState, LogIndex, Term } from '../core/types.ts';
import type { Clock, Member, SnapshotStore, StateMachine, StoredSnapshot } from './interfaces.ts';

/** What a snapshot taken now would describe. */
export interface SnapshotPoint {
  readonly index: LogIndex;
  readonly term: Term;
  readonly confState: ConfState;
  readonly members: readonly Member[];
}

/** What the keeper asks of and tells its node. */
export interface SnapshotKeeperHooks {
  /** The last applied entry and the membership at it. */
  point(): SnapshotPoint;
  onSaved(snapshot: StoredSnapshot, durationMs: number): void;
  /** Called once; the node is lost. */
  onFailure(error: unknown): void;
}

/** Starts a snapshot when enough was applied since the last, and after every change of membership. */
export class SnapshotKeeper {
  readonly #store: SnapshotStore;
  readonly #stateMachine: Pick<StateMachine<unknown>, 'snapshot'>;
  readonly #clock: Clock;
  readonly #intervals: { readonly entries: number; readonly bytes: number };
  readonly #hooks: SnapshotKeeperHooks;
  #entries = 0;
  #bytes = 0;
  #wanted = false;
  /** Saving and installing exclude each other. */
  #busy: Promise<void> | undefined;
  #stopped = false;

  constructor(
    store: SnapshotStore,
    stateMachine: Pick<StateMachine<unknown>, 'snapshot'>,
    clock: Clock,
    intervals: { readonly entries: number; readonly bytes: number },
    hooks: SnapshotKeeperHooks,
  ) {
    this.#store = store;
    this.#stateMachine = stateMachine;
    this.#clock = clock;
    this.#intervals = intervals;
    this.#hooks = hooks;
  }

  noteApplied(entries: number, bytes: number): void {
    this.#entries += entries;
    this.#bytes += bytes;
  }

  /**
   * A restart finds the membership in the newest snapshot and in what is known to be committed after it; the latter is
   * only a hint on disk. So a change of membership is worth a snapshot.
   */
  noteMembershipChange(): void {
    this.#wanted = true;
  }

  /** Called at the end of a turn. */
  maybeStart(): void {
    const due =
      this.#wanted || this.#entries >= this.#intervals.entries || this.#bytes >= this.#intervals.bytes;
    if (!due || this.#busy !== undefined || this.#stopped) return;
    this.#save().catch(() => undefined);
  }

  /** A snapshot of all that is applied now: the newest one if it is that already. */
  async take(): Promise<StoredSnapshot> {
    const wanted = this.#hooks.point().index;
    for (;;) {
      const latest = this.#store.latest();
      if (latest !== undefined && latest.meta.index >= wanted) return latest;
      if (this.#busy === undefined) return await this.#save();
      await this.#busy;
    }
  }

  /** Runs work that must not overlap with a snapshot being saved. */
  async exclusive(work: () => Promise<void>): Promise<void> {
    while (this.#busy !== undefined) await this.#busy;
    const running = work();
    this.#occupy(running);
    await running;
    this.#reset();
  }

  /** Starts none from now on, and resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#busy !== undefined) await this.#busy;
  }

  async #save(): Promise<StoredSnapshot> {
    this.#reset();
    const saving = this.#saveNow();
    this.#occupy(saving);
    return await saving;
  }

  async #saveNow(): Promise<StoredSnapshot> {
    const startedAt = this.#clock.now();
    try {
      const meta = this.#hooks.point();
      const content = this.#stateMachine.snapshot();
      let stored: StoredSnapshot;
      try {
        stored = await this.#store.save(meta, content);
      } finally {
        content.release();
      }
      this.#hooks.onSaved(stored, this.#clock.now() - startedAt);
      return stored;
    } catch (error) {
      this.#stopped = true;
      this.#hooks.onFailure(error);
      throw error;
    }
  }

  #occupy(work: Promise<unknown>): void {
    const done = (): void => {
      this.#busy = undefined;
    };
    this.#busy = work.then(done, done);
  }

  #reset(): void {
    this.#entries = 0;
    this.#bytes = 0;
    this.#wanted = false;
  }
}
