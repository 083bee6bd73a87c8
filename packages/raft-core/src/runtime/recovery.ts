/** From two stores, whatever a crash left in them, to a state that a node can start from. */
import { toLogIndex, toTerm } from '../core/ids.ts';
import { NO_NODE } from '../core/types.ts';
import type { ConfState, HardState, LogIndex, Term } from '../core/types.ts';
import { RaftError } from './errors.ts';
import type { LogStoreState, Member, SnapshotMeta, StoredSnapshot } from './interfaces.ts';
import type { ResolvedOptions } from './options.ts';

/** What a node starts from. */
export interface Recovered {
  readonly hardState: HardState;
  /** Of the snapshot: what came after it is replayed. */
  readonly confState: ConfState;
  readonly members: readonly Member[];
  /** What the state machine contains. */
  readonly applied: { readonly index: LogIndex; readonly term: Term };
}

const NO_MEMBERS: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
/** Founding members agree on a first snapshot, as if they had received it: the group's log goes on after it. */
const FOUNDING = { index: toLogIndex(1), term: toTerm(1) };

/**
 * Opens both stores and brings them to agree:
 *
 * | log                                | newest snapshot | what it is                          | what is done            |
 * | ---------------------------------- | --------------- | ----------------------------------- | ----------------------- |
 * | empty                              | none            | a new node                          | found the group, or join |
 * | empty, compacted at 0              | at n            | a crash while founding or installing | log is reset to n       |
 * | ends before n, or differs at n     | at n            | a crash while installing            | log is reset to n       |
 * | has n, with the snapshot's term    | at n            | the ordinary restart                | nothing                 |
 * | compacted beyond n, or at all      | at n, or none   | a snapshot was lost                 | refused: `damaged`      |
 * | commit index beyond the end        | any             | entries were lost                   | refused: `damaged`      |
 */
export async function recover<Result>(options: ResolvedOptions<Result>): Promise<Recovered> {
  const log = await options.logStore.open();
  const snapshot = await options.snapshotStore.open();
  if (snapshot === undefined) {
    if (log.compactedIndex > 0) {
      throw damaged(
        `the log was compacted up to ${log.compactedIndex} but there is no snapshot; restore one or rejoin under a new id`,
      );
    }
    checkCommit(log.hardState, log.lastIndex);
    return isEmpty(log) ? await found(options) : { ...NOTHING, hardState: log.hardState };
  }
  if (snapshot.meta.index < log.compactedIndex) {
    throw damaged(
      `the log was compacted up to ${log.compactedIndex} but the newest usable snapshot is at ${snapshot.meta.index}; restore the missing one or rejoin under a new id`,
    );
  }
  const hardState = await align(options, log, snapshot.meta);
  await restore(options, snapshot);
  return startFrom(snapshot.meta, hardState);
}

const NOTHING = { confState: NO_MEMBERS, members: [], applied: { index: toLogIndex(0), term: toTerm(0) } };

function isEmpty(log: LogStoreState): boolean {
  return log.lastIndex === 0 && log.hardState.term === 0 && log.hardState.vote === NO_NODE;
}

/** Gives the log the place that the snapshot has, if an installation was interrupted in between. */
async function align<Result>(
  options: ResolvedOptions<Result>,
  log: LogStoreState,
  meta: SnapshotMeta,
): Promise<HardState> {
  const { hardState } = log;
  const follows = meta.index <= log.lastIndex && options.logStore.term(meta.index) === meta.term;
  if (follows) {
    checkCommit(hardState, log.lastIndex);
    return { ...hardState, commit: max(hardState.commit, meta.index) };
  }
  // No vote of the snapshot's term can have been answered here: it would have been made durable before.
  const raised = hardState.term < meta.term;
  const aligned: HardState = {
    term: raised ? meta.term : hardState.term,
    vote: raised ? NO_NODE : hardState.vote,
    commit: meta.index,
  };
  await options.logStore.reset(meta.index, meta.term, aligned);
  return aligned;
}

async function found<Result>(options: ResolvedOptions<Result>): Promise<Recovered> {
  const { bootstrap } = options;
  if (bootstrap === undefined)
    return { ...NOTHING, hardState: { term: toTerm(0), vote: NO_NODE, commit: toLogIndex(0) } };
  const learners = [...(bootstrap.learners ?? [])].sort((a, b) => a - b);
  const members = [...bootstrap.members].sort((a, b) => a.id - b.id);
  const voters = members.map((member) => member.id).filter((id) => !learners.includes(id));
  const meta: SnapshotMeta = { ...FOUNDING, confState: { ...NO_MEMBERS, voters, learners }, members };
  const content = options.stateMachine.snapshot();
  try {
    await options.snapshotStore.save(meta, content);
  } finally {
    content.release();
  }
  const hardState: HardState = { term: meta.term, vote: NO_NODE, commit: meta.index };
  await options.logStore.reset(meta.index, meta.term, hardState);
  return startFrom(meta, hardState);
}

async function restore<Result>(options: ResolvedOptions<Result>, snapshot: StoredSnapshot): Promise<void> {
  await options.stateMachine.restore(options.snapshotStore.load(snapshot));
}

function startFrom(meta: SnapshotMeta, hardState: HardState): Recovered {
  return {
    hardState,
    confState: meta.confState,
    members: meta.members,
    applied: { index: meta.index, term: meta.term },
  };
}

function checkCommit(hardState: HardState, lastIndex: LogIndex): void {
  if (hardState.commit > lastIndex) {
    throw damaged(
      `the commit index is ${hardState.commit} but the log ends at ${lastIndex}: committed entries were lost; rejoin under a new id`,
    );
  }
}

function max(a: LogIndex, b: LogIndex): LogIndex {
  return a > b ? a : b;
}

function damaged(what: string): RaftError {
  return new RaftError('damaged', `starting: ${what}`);
}
