/** Nodes on one manual clock and one memory network, and ways to look at them. */
import { toNodeId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/types.ts';
import {
  RaftNode,
  type Member,
  type RaftNodeOptions,
  type StateMachine,
  type Transport,
} from '../../src/index.ts';
import {
  LedgerStateMachine,
  ManualClock,
  MemoryLogStore,
  MemoryNetwork,
  MemorySnapshotStore,
  type MemoryLogStoreOptions,
  type MemorySnapshotStoreOptions,
  type NetworkFaults,
} from '../../src/testing/index.ts';

export type NodeOptions = Partial<
  Omit<RaftNodeOptions<number>, 'id' | 'logStore' | 'snapshotStore' | 'stateMachine'>
>;

export interface ClusterOptions {
  readonly voters?: number;
  readonly learners?: number;
  readonly seed?: number;
  readonly options?: NodeOptions;
  readonly faults?: Partial<NetworkFaults>;
  readonly queueMaxBytes?: number;
  /** In place of the ledger at each site, which then stays empty. */
  readonly stateMachine?: () => StateMachine<number>;
  readonly logStore?: (id: NodeId) => MemoryLogStoreOptions;
  readonly snapshotStore?: (id: NodeId) => MemorySnapshotStoreOptions;
}

/** What outlives a node: its stores. */
export interface Site {
  readonly id: NodeId;
  logStore: MemoryLogStore;
  snapshotStore: MemorySnapshotStore;
  transport: Transport | undefined;
  stateMachine: LedgerStateMachine;
  node: RaftNode<number> | undefined;
  starts: number;
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function member(id: NodeId, attributes: Record<string, string> = {}): Member {
  return { id, address: `node-${id}:9444`, attributes };
}

/** What a promise fails with; undefined if it does not. */
export function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
}

export class Cluster {
  readonly clock = new ManualClock();
  readonly network: MemoryNetwork;
  readonly sites = new Map<NodeId, Site>();
  readonly #options: ClusterOptions;
  readonly #founders: readonly Member[];
  readonly #learners: readonly NodeId[];

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.network = new MemoryNetwork({
      clock: this.clock,
      randomSeed: options.seed ?? 1,
      faults: options.faults ?? {},
      ...(options.queueMaxBytes === undefined ? {} : { queueMaxBytes: options.queueMaxBytes }),
    });
    const count = (options.voters ?? 3) + (options.learners ?? 0);
    const ids = Array.from({ length: count }, (_, index) => toNodeId(index + 1));
    this.#founders = ids.map((id) => member(id));
    this.#learners = ids.slice(options.voters ?? 3);
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(options);
    for (const { id } of cluster.#founders) await cluster.startNode(id, { bootstrap: cluster.founding });
    return cluster;
  }

  get founding(): NonNullable<RaftNodeOptions<number>['bootstrap']> {
    return { members: this.#founders, learners: this.#learners };
  }

  /** Starts a node over its site's stores, new ones the first time. */
  async startNode(id: NodeId, options: NodeOptions = {}): Promise<RaftNode<number>> {
    const site = this.#site(id);
    site.stateMachine = new LedgerStateMachine();
    site.starts++;
    site.transport = this.network.transport(id);
    const starting = RaftNode.start<number>({
      clock: this.clock,
      randomSeed: (this.#options.seed ?? 1) * 1000 + site.starts,
      transport: site.transport,
      initialPeers: this.#founders,
      ...this.#options.options,
      ...options,
      id,
      logStore: site.logStore,
      snapshotStore: site.snapshotStore,
      stateMachine: this.#options.stateMachine?.() ?? site.stateMachine,
    });
    site.node = await this.clock.resolve(starting);
    return site.node;
  }

  /** As `kill -9`: what is not durable is gone, and nobody is told. The old instance dies of its dead disk. */
  async crash(id: NodeId): Promise<void> {
    const site = this.#site(id);
    site.logStore = site.logStore.crash();
    site.snapshotStore = site.snapshotStore.crash();
    site.node = undefined;
    await site.transport?.stop();
  }

  /** Lets time pass until a promise settles, and returns what it failed with; undefined if it did not. */
  async failure(promise: Promise<unknown>): Promise<unknown> {
    return await this.clock.resolve(failureOf(promise));
  }

  site(id: number): Site {
    return this.#site(toNodeId(id));
  }

  node(id: number): RaftNode<number> {
    const { node } = this.site(id);
    if (node === undefined) throw new Error(`node ${id} is not running`);
    return node;
  }

  get nodes(): readonly RaftNode<number>[] {
    return [...this.sites.values()].flatMap(({ node }) => (node === undefined ? [] : [node]));
  }

  /** The only leader that a majority follows; waits for one. */
  async leader(): Promise<RaftNode<number>> {
    let found: RaftNode<number> | undefined;
    await this.clock.until(() => {
      found = this.nodes.find((node) => {
        const { role, id, term, confState, lifecycle } = node.status();
        if (role !== 'leader' || lifecycle === 'stopped') return false;
        const followers = this.nodes.filter(
          (other) => other.status().leaderId === id && other.status().term === term,
        );
        return (
          followers.filter((other) => confState.voters.includes(other.id)).length * 2 >
          confState.voters.length
        );
      });
      return found !== undefined;
    });
    if (found === undefined) throw new Error('there is no leader');
    return found;
  }

  follower(leader: RaftNode<number>): RaftNode<number> {
    const found = this.nodes.find((node) => node !== leader && !node.status().isLearner);
    if (found === undefined) throw new Error('there is no follower');
    return found;
  }

  /** Waits until all running nodes have applied what `node` has. */
  async converge(node?: RaftNode<number>): Promise<void> {
    const target = node ?? (await this.leader());
    await this.clock.until(() => {
      const { appliedIndex, lastIndex } = target.status();
      return (
        appliedIndex === lastIndex && this.nodes.every((other) => other.status().appliedIndex >= appliedIndex)
      );
    });
  }

  async stopAll(): Promise<void> {
    for (const node of this.nodes) await this.clock.resolve(node.stop());
  }

  #site(id: NodeId): Site {
    let site = this.sites.get(id);
    if (site === undefined) {
      site = {
        id,
        logStore: new MemoryLogStore(this.#options.logStore?.(id)),
        snapshotStore: new MemorySnapshotStore(this.#options.snapshotStore?.(id)),
        stateMachine: new LedgerStateMachine(),
        transport: undefined,
        node: undefined,
        starts: 0,
      };
      this.sites.set(id, site);
    }
    return site;
  }
}
