import type { Entry, LogIndex, Message, NodeId, Term } from '../src/core/index.ts';
import type { MemberRole } from '../src/runtime/events.ts';
import type { LogImage } from './sim-log-store.ts';

/** A broken promise. Ends the run. */
export class Violation extends Error {
  override readonly name = 'Violation';
  readonly invariant: string;

  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

/** An entry that was applied somewhere, and so is committed for ever. */
interface Committed {
  readonly term: Term;
  readonly text: string;
}

/** An entry that reached some disk, and the term of the one before it there. */
interface WrittenEntry {
  readonly previous: Term | undefined;
  readonly entry: Entry;
}

/** Voters of one configuration; the second half is empty outside of a joint one. */
interface Voters {
  readonly incoming: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
}

/**
 * Configurations, counted from the newest, that somebody may still decide under: those of followers lag behind, and one
 * entry may be applied together with changes before and after it.
 */
const RECENT_CONFIGS = 4;

const decoder = new TextDecoder();

/** Knows everything that happened in the group, and checks it against what Raft promises. */
export class Oracle {
  readonly #disks: () => Iterable<readonly [NodeId, LogImage]>;
  /** Election safety: leaders by term. */
  readonly #leaders = new Map<Term, NodeId>();
  /** One vote a term: whom each node voted for, by term. */
  readonly #votes = new Map<NodeId, Map<Term, NodeId>>();
  /** Log matching: for each (index, term), the term before it and what it holds. */
  readonly #entries = new Map<LogIndex, Map<Term, WrittenEntry>>();
  /** State machine safety: what was applied at each index. */
  readonly #committed = new Map<LogIndex, Committed>();
  readonly #indexOfText = new Map<string, LogIndex>();
  readonly #refused = new Set<string>();
  /** By the index of the change that made them, in ascending order. */
  readonly #configs: (Voters & { readonly index: number })[] = [];
  #last: { readonly index: LogIndex; readonly term: Term } | undefined;
  /** What a read that begins now must see at least. */
  #floor = 0;

  constructor(disks: () => Iterable<readonly [NodeId, LogImage]>) {
    this.#disks = disks;
  }

  /** Index of the newest committed command. */
  get lastCommitted(): number {
    return this.#last?.index ?? 0;
  }

  /** Election safety (paper, 5.2): at most one leader a term, and elected once: its vote for itself must be durable. */
  leaderElected(node: NodeId, term: Term, disk: LogImage): void {
    if (disk.hardState.term < term) {
      throw new Violation('durable vote', `node ${node} leads term ${term} before its own vote is on disk`);
    }
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== node) {
      throw new Violation('election safety', `nodes ${other} and ${node} both lead term ${term}`);
    }
    this.#leaders.set(term, node);
    this.voted(node, term, node);
  }

  /** One vote a term (paper, 5.2), also across restarts. */
  voted(node: NodeId, term: Term, candidate: NodeId): void {
    let votes = this.#votes.get(node);
    if (votes === undefined) this.#votes.set(node, (votes = new Map<Term, NodeId>()));
    const former = votes.get(term);
    if (former !== undefined && former !== candidate) {
      throw new Violation(
        'one vote a term',
        `node ${node} voted for ${former} and ${candidate} in term ${term}`,
      );
    }
    votes.set(term, candidate);
  }

  /** What leaves a node must rest on what is on its disk (paper, 5.1 and 5.3; thesis 3.8). */
  sent(message: Message, disk: LogImage | undefined): void {
    const { from, term, type, index, to } = message;
    if (disk === undefined || message.reject || disk.hardState.term > term) return;
    if (type === 'MsgVoteResp') {
      this.voted(from, term, to);
      if (disk.hardState.term !== term || disk.hardState.vote !== to) {
        throw new Violation(
          'durable vote',
          `node ${from} answers ${to} in term ${term} before its vote is on disk`,
        );
      }
    }
    if (type === 'MsgAppResp' && disk.lastIndex < index) {
      throw new Violation(
        'durable acknowledgement',
        `node ${from} acknowledges ${index} in term ${term}, its disk ends at ${disk.lastIndex}`,
      );
    }
  }

  /** Log matching (paper, 5.3): the same index and term mean the same entry, and the same one before it. */
  logWritten(node: NodeId, entries: readonly Entry[], disk: LogImage): void {
    for (const entry of entries) {
      let byTerm = this.#entries.get(entry.index);
      if (byTerm === undefined) this.#entries.set(entry.index, (byTerm = new Map<Term, WrittenEntry>()));
      const previous = disk.term((entry.index - 1) as LogIndex);
      const known = byTerm.get(entry.term);
      if (known === undefined) {
        byTerm.set(entry.term, { previous, entry });
      } else if (!sameEntry(known.entry, entry)) {
        throw new Violation(
          'log matching',
          `node ${node} has another entry ${entry.index} of term ${entry.term}`,
        );
      } else if (known.previous !== previous && known.previous !== undefined && previous !== undefined) {
        throw new Violation(
          'log matching',
          `before entry ${entry.index} of term ${entry.term}, node ${node} has term ${previous}, others ${known.previous}`,
        );
      }
    }
  }

  /** Leader completeness (paper, 5.4): what was committed is in the log of every later leader. */
  leaderLog(node: NodeId, term: Term, contains: (term: Term, index: LogIndex) => boolean | undefined): void {
    const last = this.#last;
    if (last === undefined || last.term >= term) return;
    if (contains(last.term, last.index) === false) {
      throw new Violation(
        'leader completeness',
        `node ${node} leads term ${term} without entry ${last.index} of term ${last.term}, which is committed`,
      );
    }
  }

  /** State machine safety (paper, 5.4.3): no two nodes apply different commands at an index, or one twice. */
  applied(node: NodeId, entry: Entry): void {
    this.#seen(node, entry.index, entry.term, decoder.decode(entry.data));
  }

  /** A state that was restored from a snapshot must be what the commands up to its index give. */
  restored(node: NodeId, records: readonly { readonly index: LogIndex; readonly text: string }[]): void {
    const last = records.at(-1)?.index ?? 0;
    let count = 0;
    for (const [index, committed] of this.#committed) {
      if (index > last) continue;
      if (records[count]?.index !== index || records[count]?.text !== committed.text) {
        throw new Violation(
          'state machine safety',
          `node ${node} restored another state than index ${last} has`,
        );
      }
      count += 1;
    }
    if (count !== records.length) {
      throw new Violation(
        'state machine safety',
        `node ${node} restored ${records.length} commands instead of ${count}`,
      );
    }
  }

  /** A client was told that its command is committed at `index`. */
  acknowledged(text: string, index: LogIndex, term: Term): void {
    const committed = this.#committed.get(index);
    if (committed?.text !== text || committed.term !== term) {
      throw new Violation(
        'acknowledged writes',
        `${text} was acknowledged at ${index}, which holds ${committed?.text}`,
      );
    }
    this.#floor = Math.max(this.#floor, index);
  }

  /** A client was told that its command will never be committed. */
  refused(text: string): void {
    this.#refused.add(text);
    if (this.#indexOfText.has(text)) {
      throw new Violation('precise outcomes', `${text} was called not committed, but it is`);
    }
  }

  /** What a read that begins now has to see. */
  readFloor(): number {
    return this.#floor;
  }

  /** Linearizability: a read sees all that was acknowledged, or seen by another read, before it began. */
  read(node: NodeId, floor: number, seen: number): void {
    if (seen < floor) {
      throw new Violation(
        'linearizable reads',
        `node ${node} answers a read from index ${seen}; ${floor} was seen before`,
      );
    }
    this.#floor = Math.max(this.#floor, seen);
  }

  /** A configuration that some node applies. */
  configured(index: number, members: readonly MemberRole[]): void {
    if (this.#configs.some((known) => known.index === index)) return;
    const joint = members.some(
      ({ role }) => role === 'incoming' || role === 'outgoing' || role === 'demoting',
    );
    const select = (...roles: string[]): readonly NodeId[] =>
      members.filter(({ role }) => roles.includes(role)).map(({ id }) => id);
    this.#configs.push({
      index,
      incoming: select('voter', 'incoming'),
      outgoing: joint ? select('voter', 'outgoing', 'demoting') : [],
    });
    this.#configs.sort((one, other) => one.index - other.index);
    this.#configs.splice(0, Math.max(0, this.#configs.length - RECENT_CONFIGS));
  }

  /**
   * Hosts of which the group may lose all, for ever, and still has to work: in every configuration that somebody may
   * still be in, a majority remains.
   */
  mayLose(candidates: readonly NodeId[]): readonly NodeId[] {
    const lost = new Set<NodeId>();
    if (this.#changePending()) return [];
    const newest = this.#configs.at(-1);
    for (const id of candidates) {
      // A learner is left alone: it may be about to be promoted by itself.
      if (newest?.incoming.includes(id) !== true) continue;
      lost.add(id);
      if (!this.#configs.every((config) => survives(config, lost))) lost.delete(id);
    }
    return [...lost];
  }

  /**
   * True when the group cannot work without these hosts: a change of membership that was on its way when they were lost
   * has come through since, and made them indispensable.
   */
  cannotDoWithout(lost: ReadonlySet<NodeId>): boolean {
    const newest = this.#configs.at(-1);
    return newest !== undefined && !survives(newest, lost);
  }

  /** A change that is in some log and not applied yet could take another majority away. */
  #changePending(): boolean {
    const newest = this.#configs.at(-1)?.index ?? 0;
    for (const [, disk] of this.#disks()) {
      if (disk.entries.some(({ type, index }) => type !== 'normal' && index > newest)) return true;
    }
    return false;
  }

  #seen(node: NodeId, index: LogIndex, term: Term, text: string): void {
    const known = this.#committed.get(index);
    if (known !== undefined) {
      if (known.text === text && known.term === term) return;
      throw new Violation(
        'state machine safety',
        `node ${node} applies ${text} of term ${term} at ${index}, others applied ${known.text} of term ${known.term}`,
      );
    }
    const other = this.#indexOfText.get(text);
    if (other !== undefined) throw new Violation('applied once', `${text} is at ${other} and at ${index}`);
    if (this.#refused.has(text))
      throw new Violation('precise outcomes', `${text} was called not committed, but it is`);
    if (this.#last !== undefined && index < this.#last.index) {
      throw new Violation(
        'state machine safety',
        `node ${node} applies ${text} at ${index}, which others skipped`,
      );
    }
    this.#committed.set(index, { term, text });
    this.#indexOfText.set(text, index);
    this.#last = { index, term };
    this.#checkDurable(node, index, term);
  }

  /** Commit rule (paper, 5.3): what is committed is on the disks of a quorum. */
  #checkDurable(node: NodeId, index: LogIndex, term: Term): void {
    const holders = new Set<NodeId>();
    for (const [id, disk] of this.#disks()) {
      if (disk.contains(term, index)) holders.add(id);
    }
    const enough = (voters: readonly NodeId[]): boolean =>
      voters.length === 0 || voters.filter((id) => holders.has(id)).length * 2 > voters.length;
    if (this.#configs.some(({ incoming, outgoing }) => enough(incoming) && enough(outgoing))) return;
    throw new Violation(
      'durable commit',
      `node ${node} applies entry ${index} of term ${term}, which is only on the disks of ${[...holders].join(', ') || 'nobody'}`,
    );
  }
}

/** True when a majority of each half is still there. */
function survives({ incoming, outgoing }: Voters, lost: ReadonlySet<NodeId>): boolean {
  return [incoming, outgoing].every(
    (half) => half.length === 0 || half.filter((id) => !lost.has(id)).length * 2 > half.length,
  );
}

function sameEntry(a: Entry, b: Entry): boolean {
  if (a.type !== b.type || a.data.length !== b.data.length) return false;
  return a.data === b.data || a.data.every((byte, at) => byte === b.data[at]);
}
