/** A naive model of a LogStore beside the real one: what it was asked to keep, and what it has promised. */
import type { Entry, LogStore } from '@pact-journal/raft-core';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import { expect } from 'vitest';
import type { FaultyFileSystem, MemoryDisk } from '../src/testing/index.ts';

export interface ModelEntry {
  readonly index: number;
  readonly term: number;
  readonly text: string;
}

export interface LogContents {
  readonly compactedIndex: number;
  readonly compactedTerm: number;
  readonly entries: readonly ModelEntry[];
}

export interface ModelVote {
  readonly term: number;
  readonly vote: number;
}

/** What must be found after a crash: one of several logs (more than one while an operation is under way). */
export interface Promised {
  readonly opened: boolean;
  readonly logs: readonly LogContents[];
  readonly votes: readonly ModelVote[];
  readonly commit: number;
}

export function toEntry(entry: ModelEntry): Entry {
  return {
    index: toLogIndex(entry.index),
    term: toTerm(entry.term),
    type: 'normal',
    data: new TextEncoder().encode(entry.text),
  };
}

export function contentsOf(store: LogStore): LogContents {
  const first = store.firstIndex();
  const entries: ModelEntry[] = [];
  while (first + entries.length <= store.lastIndex()) {
    const low = toLogIndex(first + entries.length);
    for (const { index, term, data } of store.entries(low, toLogIndex(store.lastIndex() + 1), 1 << 20)) {
      entries.push({ index, term, text: new TextDecoder().decode(data) });
    }
  }
  return { compactedIndex: first - 1, compactedTerm: store.term(toLogIndex(first - 1)), entries };
}

function lastOf(log: LogContents): number {
  return log.compactedIndex + log.entries.length;
}

/** Drives a store, keeping account of what it has promised. */
export class ModelledLog {
  readonly #store: LogStore;
  promised: Promised = {
    opened: false,
    logs: [{ compactedIndex: 0, compactedTerm: 0, entries: [] }],
    votes: [{ term: 0, vote: 0 }],
    commit: 0,
  };

  constructor(store: LogStore) {
    this.#store = store;
  }

  get log(): LogContents {
    const [log] = this.promised.logs;
    if (log === undefined) throw new Error('nothing is promised');
    return log;
  }

  get #vote(): ModelVote {
    return this.promised.votes[0] ?? { term: 0, vote: 0 };
  }

  async open(): Promise<void> {
    await this.#store.open();
    this.promised = { ...this.promised, opened: true };
  }

  /** Appends `count` entries of that term from `index` on. */
  async append(index: number, count: number, term: number, vote?: ModelVote, sizeBytes = 20): Promise<void> {
    const before = this.log;
    const added = Array.from({ length: count }, (_, offset) => {
      const padding = 'p'.repeat(sizeBytes);
      return {
        index: index + offset,
        term,
        text: `{"index":${index + offset},"term":${term},"padding":"${padding}"}`,
      };
    });
    const kept = before.entries.slice(0, index - before.compactedIndex - 1);
    const possible = added.map((_, end) => ({ ...before, entries: [...kept, ...added.slice(0, end)] }));
    const after = { ...before, entries: [...kept, ...added] };
    this.promised = {
      ...this.promised,
      logs: [before, ...possible, after],
      votes: vote === undefined ? [this.#vote] : [this.#vote, vote],
    };
    const { term: voteTerm, vote: votedFor } = vote ?? this.#vote;
    await this.#store.append({
      entries: added.map(toEntry),
      hardState: {
        term: toTerm(voteTerm),
        vote: toNodeId(votedFor),
        commit: toLogIndex(this.promised.commit),
      },
      mustSync: true,
    });
    this.promised = { ...this.promised, logs: [after], votes: [vote ?? this.#vote] };
  }

  async commit(index: number): Promise<void> {
    const { term, vote } = this.#vote;
    // The hint may be on disk as soon as the call is made.
    this.promised = { ...this.promised, commit: index };
    await this.#store.append({
      entries: [],
      hardState: { term: toTerm(term), vote: toNodeId(vote), commit: toLogIndex(index) },
      mustSync: false,
    });
  }

  async compact(index: number): Promise<void> {
    const before = this.log;
    const term = before.entries[index - before.compactedIndex - 1]?.term ?? 0;
    const after = {
      compactedIndex: index,
      compactedTerm: term,
      entries: before.entries.slice(index - before.compactedIndex),
    };
    this.promised = { ...this.promised, logs: [before, after] };
    await this.#store.compact(toLogIndex(index));
    this.promised = { ...this.promised, logs: [after] };
  }

  async reset(index: number, term: number, vote: ModelVote): Promise<void> {
    const after = { compactedIndex: index, compactedTerm: term, entries: [] };
    this.promised = { ...this.promised, logs: [this.log, after], votes: [this.#vote, vote] };
    await this.#store.reset(toLogIndex(index), toTerm(term), {
      term: toTerm(vote.term),
      vote: toNodeId(vote.vote),
      commit: toLogIndex(index),
    });
    this.promised = { ...this.promised, logs: [after], votes: [vote], commit: index };
  }
}

const rendered = new WeakMap<LogContents, string>();

function render(log: LogContents): string {
  let text = rendered.get(log);
  if (text === undefined) rendered.set(log, (text = JSON.stringify(log)));
  return text;
}

function checkPromised(found: LogContents, promised: Promised): void {
  if (promised.logs.some((log) => render(log) === render(found))) return;
  throw new Error(`found ${render(found)}, and promised was ${promised.logs.map(render).join(' or ')}`);
}

/** Opens what is left, holds it against what was promised, goes on with it, and opens it once more. */
export async function checkLog(open: () => LogStore, promised: Promised): Promise<void> {
  const store = open();
  const state = await store.open();
  const found = contentsOf(store);
  checkPromised(found, promised);
  const { term, vote, commit } = state.hardState;
  expect(promised.votes.map((candidate) => `${candidate.term}:${candidate.vote}`)).toContain(
    `${term}:${vote}`,
  );
  expect(commit).toBeLessThanOrEqual(Math.max(promised.commit, found.compactedIndex));
  const next = { index: lastOf(found) + 1, term: 99, text: '{"after":"the crash"}' };
  await store.append({ entries: [toEntry(next)], hardState: undefined, mustSync: true });
  await store.close();

  const again = open();
  const after = await again.open();
  expect(contentsOf(again)).toEqual({ ...found, entries: [...found.entries, next] });
  expect([after.hardState.term, after.hardState.vote]).toEqual([term, vote]);
  await again.close();
}

/** What a store reports when it opens must survive a power cut at once, though its predecessor never synced it. */
export async function checkDurableOnceSeen(
  open: (disk?: MemoryDisk) => LogStore,
  fileSystem: FaultyFileSystem,
  promised: Promised,
): Promise<void> {
  const store = open();
  const { hardState } = await store.open();
  const found = contentsOf(store);
  checkPromised(found, promised);
  const after = open(fileSystem.disk.afterPowerCut([]));
  const again = await after.open();
  expect(contentsOf(after)).toEqual(found);
  expect([again.hardState.term, again.hardState.vote]).toEqual([hardState.term, hardState.vote]);
}
