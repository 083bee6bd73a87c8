/** Three bare cores and a network that loses nothing: what the protocol itself costs. */
import {
  MemoryStorage,
  RawNode,
  SeededRandom,
  toLogIndex,
  toNodeId,
  toTerm,
  type Message,
} from '@pact-journal/raft-core/core';

const IDS = [1, 2, 3].map(toNodeId);
/** A group that starts from nothing would have no members: it starts from a snapshot that names them. */
const FIRST_INDEX = toLogIndex(1);
const FIRST_TERM = toTerm(1);
const COMPACT_EVERY = 10_000;
const COMPACT_KEEP = 1_000;

/** A group of cores, stepped by hand until it is quiet. */
export class CoreGroup {
  readonly #nodes = new Map<number, { readonly node: RawNode; readonly storage: MemoryStorage }>();
  readonly #confState = { voters: IDS, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
  #applied = 0;

  constructor() {
    for (const id of IDS) {
      const storage = new MemoryStorage();
      storage.applySnapshot({
        metadata: { index: FIRST_INDEX, term: FIRST_TERM, confState: this.#confState },
        data: new Uint8Array(0),
      });
      const node = new RawNode({
        id,
        storage,
        random: new SeededRandom(id),
        applied: FIRST_INDEX,
        checkQuorum: true,
        preVote: true,
      });
      this.#nodes.set(id, { node, storage });
    }
    this.#leader.node.campaign();
    this.settle();
    if (this.#leader.node.basicStatus().role !== 'leader')
      throw new Error('the first core did not become leader');
  }

  get applied(): number {
    return this.#applied;
  }

  /** Commits a batch on all three. */
  commit(batch: readonly Uint8Array[]): void {
    this.#leader.node.proposeBatch(batch);
    this.settle();
  }

  settle(): void {
    for (let busy = true; busy;) {
      busy = false;
      const inFlight: Message[] = [];
      for (const [id, { node, storage }] of this.#nodes) {
        while (node.hasReady()) {
          busy = true;
          const { entries, hardState, committedEntries, messages } = node.ready();
          if (entries.length > 0) storage.append(entries);
          if (hardState !== undefined) storage.setHardState(hardState);
          for (const message of messages) inFlight.push(message);
          if (id === 1) this.#applied += committedEntries.length;
          const last = committedEntries.at(-1);
          node.advance();
          if (last !== undefined && last.index - storage.firstIndex() > COMPACT_EVERY) {
            const index = toLogIndex(last.index - COMPACT_KEEP);
            storage.createSnapshot(index, this.#confState, new Uint8Array(0));
            storage.compact(index);
          }
        }
      }
      for (const message of inFlight) this.#nodes.get(message.to)?.node.step(message);
    }
  }

  get #leader(): { readonly node: RawNode } {
    const leader = this.#nodes.get(1);
    if (leader === undefined) throw new Error('there is no first core');
    return leader;
  }
}
