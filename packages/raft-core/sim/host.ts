import type { Entry, NodeId, RaftEvent, SeededRandom } from '../src/core/index.ts';
import type { RaftEvents } from '../src/runtime/events.ts';
import { RaftNode } from '../src/runtime/raft-node.ts';
import type { RaftNodeOptions } from '../src/runtime/options.ts';
import { LedgerStateMachine } from '../src/testing/ledger-state-machine.ts';
import { MemorySnapshotStore } from '../src/testing/memory-snapshot-store.ts';
import { NodeClock } from './sim-clock.ts';
import type { SimClock } from './sim-clock.ts';
import { INJECTED_FAILURE, LogImage, SimLogStore } from './sim-log-store.ts';
import type { DiskBehaviour } from './sim-log-store.ts';
import { SimTransport } from './sim-network.ts';
import type { SimNetwork } from './sim-network.ts';

/** Limits of the nodes, the same for all in a group. */
export type Tuning = Partial<
  Omit<
    RaftNodeOptions<number>,
    'id' | 'logStore' | 'snapshotStore' | 'stateMachine' | 'transport' | 'clock' | 'bootstrap'
  >
>;

/** What a process can be doing with its stores when it dies. */
export type StorageOperation = 'append' | 'compact' | 'reset' | 'save' | 'install';

/** What a host tells the world. */
export interface HostHooks {
  onCoreEvent(host: Host, event: RaftEvent): void;
  onApplied(host: Host, entry: Entry): void;
  onRestored(host: Host, machine: LedgerStateMachine): void;
  onDurable(host: Host, entries: readonly Entry[]): void;
  onMembership(host: Host, change: RaftEvents['membershipChange']): void;
  onSnapshot(host: Host, what: 'taken' | 'installed'): void;
  /** The process died at a point chosen by `crashDuring`. */
  onCrash(host: Host): void;
  /** The node ended by itself. `injected` when the disk was made to fail. */
  onFatal(host: Host, error: Error, injected: boolean): void;
  /** The node could not start from what the last run left behind. */
  onStartFailed(host: Host, error: unknown): void;
}

/** A ledger that tells what it applies. */
class WatchedLedger extends LedgerStateMachine {
  readonly #onApplied: (entry: Entry) => void;
  readonly #onRestored: () => void;

  constructor(onApplied: (entry: Entry) => void, onRestored: () => void) {
    super();
    this.#onApplied = onApplied;
    this.#onRestored = onRestored;
  }

  override apply(entries: readonly Entry[]): readonly number[] {
    for (const entry of entries) this.#onApplied(entry);
    return super.apply(entries);
  }

  override async restore(...args: Parameters<LedgerStateMachine['restore']>): Promise<void> {
    await super.restore(...args);
    this.#onRestored();
  }
}

/** One run of a node's process. */
interface Process {
  readonly clock: NodeClock;
  readonly machine: LedgerStateMachine;
  readonly logStore: SimLogStore;
  node: RaftNode<number> | undefined;
  failSync: boolean;
  failRead: boolean;
  diskDelayMs: number;
  leadsTerm: number;
}

/** A machine: its disk, and the process on it, if one runs. */
export class Host {
  readonly id: NodeId;
  readonly disk = new LogImage();
  readonly #world: SimClock;
  readonly #network: SimNetwork;
  readonly #random: SeededRandom;
  readonly #tuning: Tuning;
  readonly #hooks: HostHooks;
  readonly #bootstrap: RaftNodeOptions<number>['bootstrap'];
  #snapshots: MemorySnapshotStore;
  #process: Process | undefined;
  #crashDuring: StorageOperation | undefined;

  constructor(
    id: NodeId,
    world: SimClock,
    network: SimNetwork,
    random: SeededRandom,
    tuning: Tuning,
    bootstrap: RaftNodeOptions<number>['bootstrap'],
    hooks: HostHooks,
  ) {
    this.id = id;
    this.#world = world;
    this.#network = network;
    this.#random = random;
    this.#tuning = tuning;
    this.#bootstrap = bootstrap;
    this.#hooks = hooks;
    this.#snapshots = new MemorySnapshotStore({
      beforeSync: async (operation) => {
        const running = this.#process;
        if (running === undefined) return;
        this.#maybeCrashDuring(operation);
        await running.clock.sleep(1 + this.#random.nextInt(10));
      },
    });
  }

  get up(): boolean {
    return this.#process !== undefined;
  }

  /** The node, once it has started and until it is gone. */
  get node(): RaftNode<number> | undefined {
    return this.#process?.node;
  }

  /** The term in which the process thinks that it leads, 0 for none. */
  get leadsTerm(): number {
    return this.#process?.leadsTerm ?? 0;
  }

  /** The state in the running process. */
  get machine(): LedgerStateMachine | undefined {
    return this.#process?.machine;
  }

  /** Index of the last command in the state. */
  get seen(): number {
    return this.machine?.records.at(-1)?.index ?? 0;
  }

  /** What the running process reads from its log. */
  get logStore(): SimLogStore | undefined {
    return this.#process?.logStore;
  }

  get snapshotIndex(): number {
    return this.#snapshots.latest()?.meta.index ?? 0;
  }

  start(): void {
    if (this.#process !== undefined) return;
    const clock = new NodeClock(this.#world, 0.98 + this.#random.nextInt(5) * 0.01);
    const hooks = this.#hooks;
    const machine = new WatchedLedger(
      (entry) => hooks.onApplied(this, entry),
      () => hooks.onRestored(this, machine),
    );
    const behaviour: DiskBehaviour = {
      latencyMs: (operation) => {
        this.#maybeCrashDuring(operation);
        return this.#random.nextInt(4) + (this.#process?.diskDelayMs ?? 0);
      },
      syncFails: () => {
        const fails = this.#process?.failSync ?? false;
        if (fails && this.#process !== undefined) this.#process.failSync = false;
        return fails;
      },
      readFails: () => {
        const fails = this.#process?.failRead ?? false;
        if (fails && this.#process !== undefined) this.#process.failRead = false;
        return fails;
      },
    };
    const logStore = new SimLogStore(this.disk, clock, behaviour);
    logStore.onDurable = (batch) => hooks.onDurable(this, batch.entries);
    const running: Process = {
      clock,
      machine,
      logStore,
      node: undefined,
      failSync: false,
      failRead: false,
      diskDelayMs: 0,
      leadsTerm: 0,
    };
    this.#process = running;
    RaftNode.start<number>({
      ...this.#tuning,
      id: this.id,
      logStore,
      snapshotStore: this.#snapshots,
      stateMachine: machine,
      transport: new SimTransport(this.#network, this.id, clock),
      clock,
      randomSeed: this.#random.nextInt(2 ** 31),
      ...(this.#bootstrap === undefined ? {} : { bootstrap: this.#bootstrap }),
      onCoreEvent: (event) => hooks.onCoreEvent(this, event),
    }).then(
      (node) => this.#started(running, node),
      (error: unknown) => {
        if (this.#process === running) hooks.onStartFailed(this, error);
      },
    );
  }

  /** The process dies at once; what was not synced is lost. */
  crash(): void {
    const running = this.#process;
    if (running === undefined) return;
    this.#process = undefined;
    running.clock.kill();
    running.logStore.crash(this.#random);
    this.#snapshots = this.#snapshots.crash();
    this.#network.detach(this.id);
  }

  /** Stops the node as its owner would. The process ends when that is done. */
  stop(): void {
    const running = this.#process;
    if (running?.node === undefined) return;
    const finish = (): void => {
      if (this.#process === running) this.crash();
    };
    running.node.stop().then(finish, finish);
  }

  /** The process stands still for a while. */
  pause(durationMs: number): void {
    const running = this.#process;
    if (running === undefined) return;
    running.clock.pause();
    this.#world.schedule(durationMs, () => running.clock.resume());
  }

  /** The process will die in the middle of its next operation of that kind, or right after it. */
  crashDuring(operation: StorageOperation): void {
    this.#crashDuring = operation;
  }

  /** The next sync fails. */
  failNextSync(): void {
    if (this.#process !== undefined) this.#process.failSync = true;
  }

  /** The next read of entries fails, once the node has started. */
  failNextRead(): void {
    if (this.#process?.node !== undefined) this.#process.failRead = true;
  }

  /** Every disk operation takes longer by this. */
  slowDisk(delayMs: number): void {
    if (this.#process !== undefined) this.#process.diskDelayMs = delayMs;
  }

  #maybeCrashDuring(operation: StorageOperation): void {
    const running = this.#process;
    if (this.#crashDuring !== operation || running === undefined) return;
    this.#crashDuring = undefined;
    this.#world.schedule(this.#random.nextInt(6), () => {
      if (this.#process !== running) return;
      this.crash();
      this.#hooks.onCrash(this);
    });
  }

  #started(running: Process, node: RaftNode<number>): void {
    if (this.#process !== running) return;
    running.node = node;
    const hooks = this.#hooks;
    node.on('roleChange', ({ role, term }) => {
      running.leadsTerm = role === 'leader' ? term : 0;
    });
    node.on('membershipChange', (change) => hooks.onMembership(this, change));
    node.on('snapshotSaved', () => hooks.onSnapshot(this, 'taken'));
    node.on('snapshotInstalled', () => hooks.onSnapshot(this, 'installed'));
    node.on('fatal', ({ error }) => {
      if (this.#process !== running) return;
      // The supervisor sees the process end, and will start it again.
      const injected = error.message.includes(INJECTED_FAILURE);
      this.crash();
      hooks.onFatal(this, error, injected);
    });
  }
}
