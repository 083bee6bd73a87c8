import type { NodeId, SeededRandom } from '../src/core/index.ts';
import type { MembershipChange } from '../src/runtime/membership-rules.ts';
import type { Member } from '../src/runtime/interfaces.ts';
import type { FaultCounts } from './faults.ts';
import type { Host, StorageOperation } from './host.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimNetwork } from './sim-network.ts';

/** What the nemesis may touch. */
export interface Group {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly random: SeededRandom;
  readonly faults: FaultCounts;
  readonly hosts: ReadonlyMap<NodeId, Host>;
  /** The host that leads in the latest term, as far as any host knows. */
  leader(): Host | undefined;
  /** A new machine that is not a member yet; undefined when there are enough. */
  addHost(): Host | undefined;
}

/** No group grows beyond this. */
const MAX_MEMBERS = 7;

type Fault = (group: Group) => void;

/** A direction between two hosts. */
type Link = readonly [NodeId, NodeId];

/** Faults and how often each is chosen. */
const FAULTS: readonly (readonly [number, Fault])[] = [
  [6, crashSome],
  [2, crashLeader],
  [1, crashAll],
  [4, crashMidway],
  [8, restartSome],
  [2, stopGracefully],
  [3, pauseSome],
  [2, pauseLeader],
  [3, isolateOne],
  [3, isolateLeader],
  [3, partition],
  [4, cutOneWay],
  [4, heal],
  [6, slowDisk],
  [3, failSync],
  [3, failRead],
  [16, changeMembership],
  [4, transferLeadership],
  [3, takeSnapshot],
];

/**
 * What happens in one world. Each has a mixture of its own, with some faults often and others never: bugs that need
 * several of a kind in a row are found only where nothing else gets in between (Groce et al., Swarm Testing, 2012).
 */
export class Nemesis {
  readonly #group: Group;
  readonly #mixture: readonly (readonly [number, Fault])[];
  readonly #total: number;
  readonly #restless: boolean;
  readonly #duels: boolean;
  #lastLeader: NodeId | undefined;

  constructor(group: Group) {
    this.#group = group;
    // Some groups never come to rest.
    this.#restless = group.random.nextInt(2) === 0;
    this.#duels = group.random.nextInt(3) === 0;
    this.#mixture = FAULTS.map(([weight, fault]) => [weight * group.random.nextInt(4), fault]);
    this.#total = this.#mixture.reduce((sum, [weight]) => sum + weight, 0);
  }

  /** Does something bad, or something demanding. */
  strike(): void {
    // A duel takes four turns, and most of what comes between them ends it.
    if (this.#duels && this.#group.random.nextInt(4) > 0) return;
    if (this.#restless && this.#group.random.nextInt(2) === 0) changeMembership(this.#group);
    let at = this.#group.random.nextInt(Math.max(1, this.#total));
    for (const [weight, fault] of this.#mixture) {
      if (at < weight) {
        fault(this.#group);
        return;
      }
      at -= weight;
    }
  }

  /**
   * In some groups hardly any leader lasts: it spreads what it has from before, but not what it appends and not to the
   * one that led before it, dies, and comes back to stand again (paper, figure 8).
   */
  leaderElected(host: Host): void {
    const { random, clock, network } = this.#group;
    if (!this.#duels) return;
    const rival = this.#lastLeader;
    this.#lastLeader = host.id;
    if (random.nextInt(5) === 0) {
      network.heal();
      return;
    }
    loseNewEntries(this.#group);
    if (rival !== undefined && rival !== host.id) network.setCut(host.id, rival, true);
    clock.schedule(10 + random.nextInt(60), () => {
      network.heal();
      if (host.leadsTerm === 0) return;
      this.#group.faults.count('crash');
      host.crash();
      restartLater(this.#group, host, random.nextInt(60));
    });
  }
}

function crashSome(group: Group): void {
  crash(
    group,
    oneOf(group, (host) => host.up),
  );
}

function crashLeader(group: Group): void {
  crash(group, group.leader());
}

function crashAll(group: Group): void {
  for (const host of group.hosts.values()) crash(group, host);
}

function crash(group: Group, host: Host | undefined): void {
  if (host?.up !== true) return;
  group.faults.count('crash');
  host.crash();
  // Most machines come back soon.
  if (group.random.nextInt(4) > 0) restartLater(group, host, group.random.nextInt(200));
}

function crashMidway(group: Group): void {
  const operations: readonly StorageOperation[] = ['append', 'compact', 'reset', 'save', 'install'];
  const operation = operations[group.random.nextInt(operations.length)];
  for (const host of group.hosts.values()) {
    if (operation !== undefined && group.random.nextInt(2) === 0) host.crashDuring(operation);
  }
}

function restartSome(group: Group): void {
  const host = oneOf(group, (candidate) => !candidate.up);
  if (host !== undefined) restartLater(group, host, 0);
}

function restartLater(group: Group, host: Host, delayMs: number): void {
  group.clock.schedule(delayMs, () => {
    if (host.up) return;
    group.faults.count('restart');
    host.start();
  });
}

function stopGracefully(group: Group): void {
  const host = oneOf(group, ({ node }) => node !== undefined);
  if (host === undefined) return;
  group.faults.count('graceful_stop');
  host.stop();
}

function pauseSome(group: Group): void {
  pause(
    group,
    oneOf(group, (host) => host.up),
  );
}

function pauseLeader(group: Group): void {
  pause(group, group.leader());
}

function pause(group: Group, host: Host | undefined): void {
  if (host === undefined) return;
  group.faults.count('pause');
  host.pause(20 + group.random.nextInt(500));
}

function isolateOne(group: Group): void {
  isolate(
    group,
    oneOf(group, () => true),
  );
}

function isolateLeader(group: Group): void {
  isolate(group, group.leader());
}

function isolate(group: Group, host: Host | undefined): void {
  if (host === undefined) return;
  group.faults.count('isolation');
  const links = [...group.hosts.keys()]
    .filter((other) => other !== host.id)
    .flatMap((other): Link[] => [
      [host.id, other],
      [other, host.id],
    ]);
  cut(group, links);
}

/** Cuts links for a while; others may be cut meanwhile, and all may be healed before. */
function cut(group: Group, links: readonly Link[]): void {
  const set = (isCut: boolean): void => {
    for (const [from, to] of links) group.network.setCut(from, to, isCut);
  };
  set(true);
  group.clock.schedule(40 + group.random.nextInt(500), () => set(false));
}

function partition(group: Group): void {
  group.faults.count('partition');
  const side = new Map([...group.hosts.keys()].map((id) => [id, group.random.nextInt(2)]));
  const links: Link[] = [];
  for (const [from, left] of side) {
    for (const [to, right] of side) if (left !== right) links.push([from, to]);
  }
  cut(group, links);
}

function cutOneWay(group: Group): void {
  const from = oneOf(group, () => true);
  const to = oneOf(group, (host) => host !== from);
  if (from === undefined || to === undefined) return;
  group.faults.count('one_way_cut');
  cut(group, [[from.id, to.id]]);
}

/** What leaders append in their own term gets lost, while what they have from before gets through. */
function loseNewEntries({ network, hosts }: Group): void {
  network.loses = ({ type, to, term, entries, logTerm, index }) =>
    type === 'MsgApp' &&
    entries.at(-1)?.term === term &&
    // One that does not fit is needed to find out what does.
    hosts.get(to)?.disk.contains(logTerm, index) === true;
}

function heal(group: Group): void {
  group.network.heal();
}

function slowDisk(group: Group): void {
  const host = oneOf(group, (candidate) => candidate.up);
  if (host === undefined) return;
  group.faults.count('slow_disk');
  host.slowDisk(20 + group.random.nextInt(200));
  group.clock.schedule(100 + group.random.nextInt(300), () => host.slowDisk(0));
}

function failSync(group: Group): void {
  const host = oneOf(group, (candidate) => candidate.up);
  if (host === undefined) return;
  group.faults.count('sync_failure');
  host.failNextSync();
}

function failRead(group: Group): void {
  const leader = group.leader();
  const host = group.random.nextInt(2) === 0 ? leader : oneOf(group, ({ node }) => node !== undefined);
  if (host?.node === undefined) return;
  group.faults.count('read_failure');
  host.failNextRead();
}

function transferLeadership(group: Group): void {
  const node = group.leader()?.node;
  if (node === undefined) return;
  group.faults.count('leadership_transfer');
  const voters = node.status().members.filter(({ role, id }) => role === 'voter' && id !== node.id);
  const target = voters[group.random.nextInt(voters.length + 1)];
  node.transferLeadership(target?.id).catch(() => undefined);
}

function takeSnapshot(group: Group): void {
  oneOf(group, ({ node }) => node !== undefined)
    ?.node?.snapshot()
    .catch(() => undefined);
}

function changeMembership(group: Group): void {
  const node = group.leader()?.node;
  if (node === undefined) return;
  const members = node.status().members;
  const count = group.random.nextInt(2) === 0 ? 2 + group.random.nextInt(2) : 1;
  const changes: MembershipChange[] = [];
  const named = new Set<NodeId>();
  for (let i = 0; i < count; i += 1) {
    const change = oneChange(
      group,
      members.filter(({ id }) => !named.has(id)),
      members.length + changes.length,
    );
    if (change === undefined) continue;
    named.add('id' in change ? change.id : change.member.id);
    changes.push(change);
  }
  if (changes.length === 0) return;
  group.faults.count('membership_change');
  node.changeMembership(changes).catch(() => undefined);
}

function oneChange(
  group: Group,
  members: readonly { readonly id: NodeId; readonly role: string }[],
  size: number,
): MembershipChange | undefined {
  const { random } = group;
  const roll = random.nextInt(10);
  const voters = members.filter(({ role }) => role === 'voter');
  const learners = members.filter(({ role }) => role === 'learner');
  const chosen = (from: readonly { readonly id: NodeId }[]): NodeId | undefined =>
    from[random.nextInt(from.length)]?.id;
  if (roll < 3 && size < MAX_MEMBERS) {
    const host = group.addHost();
    if (host === undefined) return undefined;
    const member: Member = { id: host.id, address: `host-${host.id}`, attributes: {} };
    return roll === 0
      ? { type: 'addVoter', member }
      : { type: 'addLearner', member, promoteWhenCaughtUp: random.nextInt(2) === 0 };
  }
  if (roll < 5) {
    const id = chosen(learners);
    return id === undefined ? undefined : { type: 'promote', id };
  }
  if (roll < 7) {
    const id = chosen(voters);
    return id === undefined ? undefined : { type: 'demote', id };
  }
  const id = chosen(members);
  return id === undefined ? undefined : { type: 'remove', id };
}

function oneOf(group: Group, test: (host: Host) => boolean): Host | undefined {
  const candidates = [...group.hosts.values()].filter(test);
  return candidates[group.random.nextInt(candidates.length)];
}
