import {
  createMessage,
  decodeConfChange,
  describeEntries,
  describeError,
  describeMessage,
  describeReady,
  EMPTY_SNAPSHOT,
  isLocalTarget,
  isStorageError,
  MemoryStorage,
  NO_INDEX,
  RawNode,
  renderEvent,
  SeededRandom,
  toNodeId,
  toTerm,
} from '../src/core/index.ts';
import type {
  ConfState,
  Entry,
  HardState,
  LogIndex,
  Message,
  MessageType,
  NodeId,
  RawNodeConfig,
  Snapshot,
} from '../src/core/index.ts';
import { Output } from './output.ts';

/** A log in memory whose snapshot is the newest of the node's history. */
class NodeStorage extends MemoryStorage {
  readonly history: Snapshot[];

  constructor(base: Snapshot) {
    super();
    this.history = [base];
  }

  /** The newest state of the application. */
  latest(): Snapshot {
    return this.history.at(-1) ?? EMPTY_SNAPSHOT;
  }

  override snapshot(): Snapshot {
    return this.latest();
  }
}

/** One member of the group. */
export interface GroupNode {
  readonly id: NodeId;
  readonly raw: RawNode;
  readonly storage: NodeStorage;
  readonly async: boolean;
  readonly electionTick: number;
  readonly heartbeatTick: number;
  readonly appendWork: Message[];
  readonly applyWork: Message[];
}

/** Options of new nodes that a script may set. */
export type NodeOptions = Omit<
  RawNodeConfig,
  'id' | 'storage' | 'random' | 'onEvent' | 'electionTick' | 'heartbeatTick'
>;

const ELECTION_TICK = 3;
const HEARTBEAT_TICK = 1;

/** A group of raw nodes, the messages between them, and what they print. */
export class Group {
  readonly output = new Output();
  readonly nodes: GroupNode[] = [];
  messages: Message[] = [];

  /** Adds `count` nodes with the next ids, started from `snapshot` if there is one. */
  addNodes(count: number, options: NodeOptions, snapshot: Snapshot | undefined): void {
    for (let i = 0; i < count; i += 1) {
      const id = toNodeId(this.nodes.length + 1);
      const storage = new NodeStorage(snapshot ?? EMPTY_SNAPSHOT);
      if (snapshot !== undefined) storage.applySnapshot(snapshot);
      const raw = new RawNode({
        ...options,
        id,
        storage,
        random: new SeededRandom(id),
        electionTick: ELECTION_TICK,
        heartbeatTick: HEARTBEAT_TICK,
        onEvent: (event) => {
          const line = renderEvent(event);
          if (line !== undefined) this.output.log(line.level, line.text);
        },
      });
      this.nodes.push({
        id,
        raw,
        storage,
        async: options.asyncStorageWrites ?? false,
        electionTick: ELECTION_TICK,
        heartbeatTick: HEARTBEAT_TICK,
        appendWork: [],
        applyWork: [],
      });
    }
  }

  node(id: number): GroupNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`there is no node ${id}`);
    return node;
  }

  processReady(node: GroupNode): void {
    const ready = node.raw.ready();
    this.output.write(describeReady(ready));
    if (!node.async) {
      append(node, ready.hardState, ready.entries, ready.snapshot);
      apply(node, ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (!isLocalTarget(message.to)) this.messages.push(message);
      else if (message.type === 'MsgStorageAppend') node.appendWork.push(message);
      else node.applyWork.push(message);
    }
    if (!node.async) node.raw.advance();
  }

  processAppendThread(node: GroupNode): void {
    const message = node.appendWork.shift();
    if (message === undefined) {
      this.output.write('no append work to perform');
      return;
    }
    this.#processing(message);
    const { term, vote, commit } = message;
    const hardState = term === 0 && vote === 0 && commit === 0 ? undefined : { term, vote, commit };
    append(node, hardState, message.entries, message.snapshot);
    this.#respond(message);
  }

  processApplyThread(node: GroupNode): void {
    const message = node.applyWork.shift();
    if (message === undefined) {
      this.output.write('no apply work to perform');
      return;
    }
    this.#processing(message);
    apply(node, message.entries);
    this.#respond(message);
  }

  /** Messages in flight to a node. What a node sends to itself or its threads is never dropped. */
  inFlight(to: NodeId, drop: boolean, type?: MessageType): readonly Message[] {
    return this.messages.filter(
      (message) =>
        message.to === to &&
        !(drop && (message.from === message.to || isLocalTarget(message.from))) &&
        (type === undefined || message.type === type),
    );
  }

  /** Delivers or drops messages to a node, and returns how many there were. */
  deliver(to: NodeId, drop: boolean, type?: MessageType): number {
    const messages = this.inFlight(to, drop, type);
    const taken = new Set(messages);
    this.messages = this.messages.filter((message) => !taken.has(message));
    for (const message of messages) {
      this.output.write(`${drop ? 'dropped: ' : ''}${describeMessage(message)}\n`);
      if (drop) continue;
      try {
        this.node(to).raw.step(message);
      } catch (error) {
        this.output.write(`${describeError(error)}\n`);
      }
    }
    return messages.length;
  }

  /** Runs everything until nothing is left to do. */
  stabilize(nodes: readonly GroupNode[]): void {
    for (let busy = true; busy;) {
      busy = false;
      const section = (title: string, body: () => void): void => {
        this.output.write(`> ${title}\n`);
        this.output.indent(body);
        busy = true;
      };
      for (const node of nodes) {
        if (node.raw.hasReady()) section(`${node.id} handling Ready`, () => this.processReady(node));
      }
      for (const node of nodes) {
        if (this.inFlight(node.id, false).length === 0) continue;
        section(`${node.id} receiving messages`, () => {
          this.deliver(node.id, false);
        });
      }
      for (const node of nodes) {
        if (node.appendWork.length === 0) continue;
        section(`${node.id} processing append thread`, () => {
          while (node.appendWork.length > 0) this.processAppendThread(node);
        });
      }
      for (const node of nodes) {
        if (node.applyWork.length === 0) continue;
        section(`${node.id} processing apply thread`, () => {
          while (node.applyWork.length > 0) this.processApplyThread(node);
        });
      }
    }
  }

  printLog(node: GroupNode): void {
    const first = node.storage.firstIndex();
    const last = node.storage.lastIndex();
    if (last < first) {
      this.output.write(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    this.output.write(
      describeEntries(node.storage.entries(first, (last + 1) as LogIndex, Number.MAX_SAFE_INTEGER)),
    );
  }

  sendSnapshot(from: GroupNode, to: GroupNode): void {
    const message = createMessage({
      type: 'MsgSnap',
      term: from.raw.basicStatus().term,
      from: from.id,
      to: to.id,
      snapshot: from.storage.snapshot(),
    });
    this.messages.push(message);
    this.output.write(describeMessage(message));
  }

  #processing(message: Message): void {
    this.output.write(`Processing:\n${describeMessage({ ...message, responses: [] })}\n`);
  }

  #respond(message: Message): void {
    this.output.write(
      `Responses:\n${message.responses.map((response) => `${describeMessage(response)}\n`).join('')}`,
    );
    this.messages.push(...message.responses);
  }
}

function append(
  node: GroupNode,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  snapshot: Snapshot | undefined,
): void {
  if (hardState !== undefined) node.storage.setHardState(hardState);
  if (snapshot !== undefined && snapshot.metadata.index !== NO_INDEX) {
    if (entries.length > 0) throw new Error("can't apply snapshot and entries at the same time");
    try {
      node.storage.applySnapshot(snapshot);
    } catch (error) {
      if (isStorageError(error))
        throw new Error('requested index is older than the existing snapshot', { cause: error });
      throw error;
    }
    return;
  }
  node.storage.append(entries);
}

/** The state machine: it appends every command to the state. */
function apply(node: GroupNode, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const previous = node.storage.latest();
    let update = entry.data;
    let confState: ConfState = previous.metadata.confState;
    if (entry.type !== 'normal') {
      const change = decodeConfChange(entry.data);
      update = change.context;
      confState = node.raw.applyConfChange(change);
    }
    const data = new Uint8Array(previous.data.length + update.length);
    data.set(previous.data);
    data.set(update, previous.data.length);
    node.storage.history.push({ metadata: { index: entry.index, term: entry.term, confState }, data });
  }
}

/** The snapshot that new nodes start from. */
export function baseSnapshot(index: LogIndex, confState: ConfState, content: string): Snapshot {
  return {
    metadata: { index, term: toTerm(1), confState },
    data: new TextEncoder().encode(content),
  };
}
