import { SeededRandom, toNodeId } from '../src/core/index.ts';
import type { NodeId, RaftEvent, Term } from '../src/core/index.ts';
import type { Member } from '../src/runtime/interfaces.ts';
import { Client } from './clients.ts';
import { FaultCounts } from './faults.ts';
import { Host } from './host.ts';
import type { HostHooks } from './host.ts';
import { Nemesis } from './nemesis.ts';
import { Oracle, Violation } from './oracle.ts';
import { SimClock } from './sim-clock.ts';
import { SimNetwork } from './sim-network.ts';
import { TraceHash } from './trace-hash.ts';
import { planWorld, TICK_MS } from './tuning.ts';
import type { WorldPlan } from './tuning.ts';

/** How one seed went. */
export interface RunResult {
  readonly seed: number;
  readonly ticks: number;
  readonly violation: Error | undefined;
  readonly faults: FaultCounts;
  readonly traceHash: string;
}

/** Machines that one world may have in all, removed ones included. */
const MAX_HOSTS = 11;
/** Once all is well again, a group that has not come together after this is stuck. */
const RECOVERY_MS = 15_000;

/** One seed's world: hosts, a network between them, clients, and somebody who breaks things. */
export class World {
  readonly clock = new SimClock();
  readonly random: SeededRandom;
  readonly faults = new FaultCounts();
  readonly network: SimNetwork;
  readonly hosts = new Map<NodeId, Host>();
  readonly #seed: number;
  readonly #plan: WorldPlan;
  readonly #oracle: Oracle;
  readonly #trace = new TraceHash();
  readonly #clients: Client[] = [];
  /** Leaders whose logs are not long enough yet to be checked, with the time of their election. */
  readonly #unchecked = new Map<Host, { readonly term: Term; readonly since: number }>();
  /** Hosts that never come back. */
  readonly #lost = new Set<NodeId>();
  #nemesis: Nemesis | undefined;
  #chaos = true;
  #violation: Error | undefined;

  constructor(seed: number) {
    this.#seed = seed;
    this.random = new SeededRandom(seed);
    this.#plan = planWorld(this.random);
    this.#oracle = new Oracle(() => [...this.hosts].map(([id, host]) => [id, host.disk] as const));
    this.network = new SimNetwork(this.clock, this.random, this.faults);
    this.network.quality = this.#plan.network;
    this.network.onSend = (message) => {
      this.#guard(() => this.#oracle.sent(message, this.hosts.get(message.from)?.disk));
    };
    this.network.onArrival = ({ type, from, to, term, index, commit }) => {
      this.#trace.add(this.clock.now);
      this.#trace.addText(type);
      for (const value of [from, to, term, index, commit]) this.#trace.add(value);
    };
  }

  async run(): Promise<RunResult> {
    this.#found();
    const observe = (): void => this.#guard(() => this.#checkLeaders());
    const broken = (): boolean => this.#violation !== undefined;
    await this.clock.run(this.#plan.chaosMs, observe, broken);
    if (!broken()) {
      this.#calm();
      let converged = false;
      const done = (): boolean => broken() || converged;
      const probe = (): void => {
        if (done()) return;
        // One that was being stopped when the troubles ended is down only now.
        for (const host of this.hosts.values()) this.#restart(host);
        this.#probe().then(
          (well) => {
            converged ||= well;
          },
          (error: unknown) => this.#broke(error),
        );
        this.clock.schedule(50, probe);
      };
      probe();
      await this.clock.run(RECOVERY_MS, observe, done);
      if (!done() && !this.#oracle.cannotDoWithout(this.#lost)) {
        this.#broke(new Violation('liveness', this.#stuck()));
      }
    }
    return {
      seed: this.#seed,
      ticks: Math.round(this.clock.now / TICK_MS),
      violation: this.#violation,
      faults: this.faults,
      traceHash: this.#trace.digest(),
    };
  }

  leader(): Host | undefined {
    let best: Host | undefined;
    for (const host of this.hosts.values()) {
      if (host.leadsTerm > (best?.leadsTerm ?? 0)) best = host;
    }
    return best;
  }

  addHost(): Host | undefined {
    if (this.hosts.size >= MAX_HOSTS) return undefined;
    const host = this.#newHost(toNodeId(this.hosts.size + 1), undefined);
    host.start();
    return host;
  }

  #found(): void {
    const { founders, clients, faultEveryMs } = this.#plan;
    const members = Array.from({ length: founders }, (_, position): Member => {
      const id = toNodeId(position + 1);
      return { id, address: `host-${id}`, attributes: {} };
    });
    this.#oracle.configured(
      0,
      members.map((member) => ({ ...member, role: 'voter' })),
    );
    for (const { id } of members) this.#newHost(id, { members });
    for (const host of this.hosts.values()) host.start();
    for (let i = 0; i < clients; i += 1) {
      const client = new Client(
        {
          clock: this.clock,
          random: this.random,
          oracle: this.#oracle,
          hosts: () => [...this.hosts.values()],
          leader: () => this.leader(),
          onViolation: (error) => this.#broke(error),
        },
        `client${i}`,
      );
      this.#clients.push(client);
      client.start();
    }
    const nemesis = new Nemesis(this);
    this.#nemesis = nemesis;
    const nextFault = (): void => {
      if (!this.#chaos) return;
      this.#guard(() => nemesis.strike());
      this.clock.schedule(1 + this.random.nextInt(2 * faultEveryMs), nextFault);
    };
    // Time for a first election, most of the time.
    this.clock.schedule(this.random.nextInt(400), nextFault);
  }

  #newHost(id: NodeId, bootstrap: { readonly members: readonly Member[] } | undefined): Host {
    const host = new Host(
      id,
      this.clock,
      this.network,
      this.random,
      this.#plan.tuning,
      bootstrap,
      this.#hooks(),
    );
    this.hosts.set(id, host);
    return host;
  }

  #hooks(): HostHooks {
    return {
      onCoreEvent: (host, event) => this.#guard(() => this.#onCoreEvent(host, event)),
      onApplied: (host, entry) => this.#guard(() => this.#oracle.applied(host.id, entry)),
      onRestored: (host, machine) => this.#guard(() => this.#oracle.restored(host.id, machine.records)),
      onDurable: (host, entries) => this.#guard(() => this.#oracle.logWritten(host.id, entries, host.disk)),
      onMembership: (_host, { index, members }) => this.#oracle.configured(index, members),
      onSnapshot: (_host, what) =>
        this.faults.count(what === 'taken' ? 'snapshot_taken' : 'snapshot_installed'),
      onCrash: (host) => {
        this.faults.count('crash');
        this.clock.schedule(this.random.nextInt(100), () => this.#restart(host));
      },
      onFatal: (host, error, injected) => {
        if (!injected)
          this.#broke(
            new Violation('a node fails only with its disk', `node ${host.id}: ${describe(error)}`),
          );
        else this.clock.schedule(20 + this.random.nextInt(100), () => this.#restart(host));
      },
      onStartFailed: (host, error) => {
        this.#broke(
          new Violation('a node starts from what a crash leaves', `node ${host.id}: ${describe(error)}`),
        );
      },
    };
  }

  #restart(host: Host): void {
    if (host.up || this.#lost.has(host.id)) return;
    this.faults.count('restart');
    host.start();
  }

  #onCoreEvent(host: Host, event: RaftEvent): void {
    if (event.type !== 'roleChanged') return;
    this.#trace.add(event.term);
    this.#trace.addText(event.role);
    this.#unchecked.delete(host);
    if (event.role !== 'leader') return;
    this.#oracle.leaderElected(host.id, event.term, host.disk);
    this.#unchecked.set(host, { term: event.term, since: this.clock.now });
    if (this.#chaos) this.#nemesis?.leaderElected(host);
  }

  /** A new leader's log may still be on its way to its disk; it is checked when it is long enough to tell. */
  #checkLeaders(): void {
    for (const [host, { term }] of this.#unchecked) {
      const { logStore } = host;
      if (logStore === undefined) {
        this.#unchecked.delete(host);
        continue;
      }
      if (logStore.lastIndex() < this.#oracle.lastCommitted) continue;
      this.#unchecked.delete(host);
      this.#oracle.leaderLog(host.id, term, (wanted, index) => {
        if (index < logStore.firstIndex() || index > logStore.lastIndex()) return undefined;
        return logStore.term(index) === wanted;
      });
    }
  }

  /** The end of all troubles. */
  #calm(): void {
    this.#chaos = false;
    for (const client of this.#clients) client.stop();
    this.network.heal();
    this.network.quality = { loss: 0, duplication: 0, reordering: 0, delayMsMax: 1 };
    for (const host of this.hosts.values()) host.slowDisk(0);
    const hosts = [...this.hosts.values()];
    if (hosts.some(({ node }) => node?.status().membershipChangePending === true)) return;
    // Some are gone for good; the rest is enough.
    const candidates = hosts.filter(() => this.random.nextInt(3) > 0).map(({ id }) => id);
    for (const id of this.#oracle.mayLose(candidates)) {
      this.#lost.add(id);
      this.hosts.get(id)?.crash();
      this.faults.count('machine_lost');
    }
  }

  /** True when the group has a leader, is in one configuration, takes writes, and all members are up to date. */
  async #probe(): Promise<boolean> {
    const leader = this.leader();
    const [client] = this.#clients;
    const floor = this.#oracle.readFloor();
    if (leader === undefined || client === undefined || !(await client.write(leader))) return false;
    const status = leader.node?.status();
    if (status === undefined || status.members.some(({ role }) => role !== 'voter' && role !== 'learner'))
      return false;
    client.read(leader);
    return status.members.every(({ id }) => this.#lost.has(id) || (this.hosts.get(id)?.seen ?? 0) >= floor);
  }

  #stuck(): string {
    const hosts = [...this.hosts.values()].map((host) => {
      const status = host.node?.status();
      const members = status?.members.map(({ id, role }) => `${id}:${role}`).join(' ');
      return `node ${host.id} ${status?.role ?? 'down'} term ${status?.term} applied ${status?.appliedIndex} [${members}]`;
    });
    return `no recovery within ${RECOVERY_MS} ms: ${hosts.join('; ')}`;
  }

  #guard(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#broke(error);
    }
  }

  #broke(error: unknown): void {
    this.#violation ??= error instanceof Error ? error : new Error(String(error));
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? `${String(error.code)}: ${error.message}` : error.message;
}
