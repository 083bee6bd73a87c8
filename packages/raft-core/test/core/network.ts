import {
  createMessage,
  decodeConfChange,
  MemoryStorage,
  NO_BYTES,
  RawNode,
  SeededRandom,
  sortedIds,
  toLogIndex,
  toNodeId,
  toTerm,
} from '../../src/core/index.ts';
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  LogIndex,
  Message,
  MessageType,
  NodeId,
  RaftEvent,
  RawNodeConfig,
  Ready,
  ReadState,
  Role,
  Snapshot,
} from '../../src/core/index.ts';

/** Index of the snapshot that every group in these tests is founded on. */
export const BASE_INDEX = toLogIndex(2);

export type NodeOptions = Partial<Omit<RawNodeConfig, 'id' | 'storage' | 'onEvent'>>;

export function ids(...values: number[]): readonly NodeId[] {
  return values.map(toNodeId);
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

export function confState(voters: readonly NodeId[], learners: readonly NodeId[] = []): ConfState {
  return {
    voters: sortedIds(voters),
    learners: sortedIds(learners),
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
}

export function entry(term: number, index: number, data = ''): Entry {
  return { term: toTerm(term), index: toLogIndex(index), type: 'normal', data: bytes(data) };
}

export function entries(...terms: number[]): readonly Entry[] {
  return terms.map((term, position) => entry(term, BASE_INDEX + 1 + position));
}

export function hardState(term: number, vote: number, commit: number): HardState {
  return { term: toTerm(term), vote: toNodeId(vote), commit: toLogIndex(commit) };
}

export function change(...changes: ConfChange['changes']): ConfChange {
  return { transition: 'auto', changes, context: NO_BYTES };
}

/** What a node starts from: a snapshot at `BASE_INDEX` with the membership, then entries. */
export function storageWith(
  members: ConfState,
  log: readonly Entry[] = [],
  state: HardState = hardState(1, 0, BASE_INDEX),
): MemoryStorage {
  const storage = new MemoryStorage();
  if (members.voters.length > 0 || members.learners.length > 0) {
    storage.applySnapshot({
      metadata: { index: BASE_INDEX, term: toTerm(1), confState: members },
      data: NO_BYTES,
    });
    storage.append(log);
    storage.setHardState(state);
  }
  return storage;
}

/** A single node, without a network around it. */
export function rawNode(id: number, storage: MemoryStorage, options: NodeOptions = {}): RawNode {
  return new RawNode({
    id: toNodeId(id),
    storage,
    random: new SeededRandom(id),
    applied: toLogIndex(storage.firstIndex() - 1),
    ...options,
  });
}

/** Carries out everything a node has to do, without delivering its messages, and returns what it did. */
export function drain(raw: RawNode, storage: MemoryStorage): { readies: Ready[]; messages: Message[] } {
  const readies: Ready[] = [];
  while (raw.hasReady()) {
    const ready = raw.ready();
    persist(storage, ready);
    readies.push(ready);
    raw.advance();
  }
  return { readies, messages: readies.flatMap((ready) => ready.messages) };
}

function persist(storage: MemoryStorage, work: Pick<Ready, 'hardState' | 'snapshot' | 'entries'>): void {
  if (work.hardState !== undefined) storage.setHardState(work.hardState);
  if (work.snapshot !== undefined) storage.applySnapshot(work.snapshot);
  storage.append(work.entries);
}

export function message(type: MessageType, fields: Partial<Record<keyof Message, unknown>>): Message {
  return createMessage({ type, ...(fields as Partial<Message>) });
}

/** A member of a {@link Network}: a core, its disk, and what it has applied. */
export class Member {
  readonly id: NodeId;
  readonly storage: MemoryStorage;
  readonly events: RaftEvent[] = [];
  applied: Entry[] = [];
  reads: ReadState[] = [];
  raw: RawNode;
  readonly #options: NodeOptions;

  constructor(id: NodeId, storage: MemoryStorage, options: NodeOptions) {
    this.id = id;
    this.storage = storage;
    this.#options = options;
    this.raw = this.#start();
  }

  get role(): Role {
    return this.raw.basicStatus().role;
  }

  get term(): number {
    return this.raw.basicStatus().term;
  }

  get committed(): number {
    return this.raw.basicStatus().committed;
  }

  /** Data of the applied entries that have some. */
  get values(): readonly string[] {
    return this.applied
      .filter((applied) => applied.type === 'normal' && applied.data.length > 0)
      .map((applied) => text(applied.data));
  }

  /** The durable log after its compaction point. */
  get log(): readonly Entry[] {
    return this.storage.entries(
      this.storage.firstIndex(),
      toLogIndex(this.storage.lastIndex() + 1),
      Number.MAX_SAFE_INTEGER,
    );
  }

  get terms(): readonly number[] {
    return this.log.map((logged) => logged.term);
  }

  /** Comes back with what was persisted, and an application that applies everything anew. */
  restart(): void {
    this.applied = [];
    this.raw = this.#start();
  }

  #start(): RawNode {
    return new RawNode({
      random: new SeededRandom(this.id),
      applied: toLogIndex(this.storage.firstIndex() - 1),
      ...this.#options,
      id: this.id,
      storage: this.storage,
      onEvent: (event) => this.events.push(event),
    });
  }
}

/** A group of cores in memory. Messages travel when `settle` or `deliver` says so, and only where `connected` lets them. */
export class Network {
  readonly members = new Map<NodeId, Member>();
  inFlight: Message[] = [];
  /** Messages that were delivered, in order. */
  readonly delivered: Message[] = [];
  #connected: (message: Message) => boolean = () => true;

  constructor(voters: readonly NodeId[], options: NodeOptions = {}, learners: readonly NodeId[] = []) {
    for (const id of [...voters, ...learners]) {
      this.add(id, storageWith(confState(voters, learners)), options);
    }
  }

  add(id: NodeId, storage: MemoryStorage, options: NodeOptions = {}): Member {
    const member = new Member(id, storage, options);
    this.members.set(id, member);
    return member;
  }

  /**
   * A node that knows nothing yet, to be added to the group. The snapshot that it will get is of the founders alone, so
   * that it needs the safeguards.
   */
  addEmpty(id: number, options: NodeOptions = { safeguards: true }): Member {
    return this.add(toNodeId(id), new MemoryStorage(), options);
  }

  member(id: number): Member {
    const member = this.members.get(toNodeId(id));
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  get leader(): Member | undefined {
    return [...this.members.values()]
      .filter((member) => member.role === 'leader')
      .sort((a, b) => b.term - a.term)[0];
  }

  /** Restricts which messages get through, until the next call. */
  only(connected: (message: Message) => boolean): void {
    this.#connected = connected;
  }

  heal(): void {
    this.#connected = () => true;
  }

  /** Cuts nodes off from everybody else, in both directions. */
  isolate(...cut: number[]): void {
    this.only(({ from, to }) => from === to || (!cut.includes(from) && !cut.includes(to)));
  }

  /** Everything the nodes have to do, messages delivered, until nothing is left. */
  settle(): void {
    for (let busy = true; busy;) {
      busy = false;
      for (const member of this.members.values()) {
        if (this.work(member)) busy = true;
      }
      if (this.deliver()) busy = true;
    }
  }

  /** Carries out the Readies of one node; its messages go in flight. */
  work(member: Member, observe: (ready: Ready) => void = () => undefined): boolean {
    let busy = false;
    while (member.raw.hasReady()) {
      busy = true;
      const ready = member.raw.ready();
      observe(ready);
      persist(member.storage, ready);
      member.reads.push(...ready.readStates);
      for (const committed of ready.committedEntries) apply(member, committed);
      this.inFlight.push(...ready.messages);
      member.raw.advance();
    }
    return busy;
  }

  /** Delivers what is in flight and may pass; the rest is lost. */
  deliver(): boolean {
    const messages = this.inFlight;
    this.inFlight = [];
    for (const sent of messages) {
      const target = this.members.get(sent.to);
      if (target === undefined || !this.#connected(sent)) continue;
      this.delivered.push(sent);
      stepQuietly(target, sent);
    }
    return messages.length > 0;
  }

  tick(id: number, ticks = 1): void {
    for (let i = 0; i < ticks; i += 1) this.member(id).raw.tick();
  }

  /** Time passes for all, messages travel. */
  run(ticks: number): void {
    for (let i = 0; i < ticks; i += 1) {
      for (const member of this.members.values()) member.raw.tick();
      this.settle();
    }
  }

  elect(id: number): Member {
    const member = this.member(id);
    member.raw.campaign();
    this.settle();
    return member;
  }

  propose(value: string): void {
    this.leader?.raw.propose(bytes(value));
    this.settle();
  }

  changeMembership(changes: ConfChange): void {
    this.leader?.raw.proposeConfChange(changes);
    this.settle();
  }
}

/** Errors that a node may answer to messages of a network: they are part of normal operation. */
export function stepQuietly(member: Member, received: Message): void {
  try {
    member.raw.step(received);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'unknownPeer' && code !== 'proposalDropped') throw error;
  }
}

function apply(member: Member, committed: Entry): void {
  member.applied.push(committed);
  if (committed.type !== 'normal') member.raw.applyConfChange(decodeConfChange(committed.data));
}

/** Drops a node's log up to `index`, leaving a snapshot in its place. */
export function compactAt(member: Member, index: LogIndex): Snapshot {
  const snapshot = member.storage.createSnapshot(index, member.raw.confState(), bytes(`state@${index}`));
  member.storage.compact(index);
  return snapshot;
}
