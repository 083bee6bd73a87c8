import { describe, expect, it } from 'vitest';
import {
  encodeConfChange,
  entrySize,
  MemoryStorage,
  NO_LIMIT,
  payloadSize,
  SeededRandom,
  toLogIndex,
  toNodeId,
  toTerm,
} from '../../src/core/index.ts';
import type { ConfChange, Entry, EntryType } from '../../src/core/index.ts';
import { RaftLog, Unstable } from '../../src/core/log/index.ts';
import { Inflights } from '../../src/core/tracker/index.ts';
import { bytes, confState, entries, entry, ids, storageWith } from './network.ts';

describe('the unstable tail of the log', () => {
  /** The same operations on an array of all entries, without an eye on speed. */
  class Model {
    entries: Entry[] = [];
    offset = 1;
    inProgress = 1;

    append(added: readonly Entry[]): void {
      const start = added[0]?.index ?? 0;
      if (start <= this.offset) {
        this.entries = [...added];
        // Appending right at the end of an empty tail replaces nothing.
        if (start < this.offset) this.inProgress = start;
        this.inProgress = Math.min(this.inProgress, start);
        this.offset = start;
      } else {
        this.entries = [...this.entries.slice(0, start - this.offset), ...added];
        this.inProgress = Math.min(this.inProgress, start);
      }
    }

    stable(term: number, index: number): void {
      const held = this.entries[index - this.offset];
      if (held?.term !== term) return;
      this.entries = this.entries.slice(index - this.offset + 1);
      this.offset = index + 1;
      this.inProgress = Math.max(this.inProgress, this.offset);
    }
  }

  it('behaves as a plain array of entries would, under random operations', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const random = new SeededRandom(seed);
      const unstable = new Unstable(toNodeId(1), toLogIndex(1), undefined);
      const model = new Model();
      let term = 1;
      for (let step = 0; step < 400; step += 1) {
        const end = model.offset + model.entries.length;
        switch (random.nextInt(4)) {
          case 0:
          case 1: {
            const back = random.nextInt(10) === 0 ? random.nextInt(Math.min(5, end - 1) + 1) : 0;
            if (back > 0) term += 1;
            const added = Array.from({ length: 1 + random.nextInt(30) }, (_, at) =>
              entry(term, end - back + at),
            );
            unstable.truncateAndAppend(added, 0);
            model.append(added);
            break;
          }
          case 2:
            unstable.acceptInProgress();
            model.inProgress = model.offset + model.entries.length;
            break;
          default: {
            const index = model.offset + random.nextInt(Math.max(1, model.inProgress - model.offset + 1)) - 1;
            const at =
              random.nextInt(8) === 0 ? term + 1 : (model.entries[index - model.offset]?.term ?? term);
            if (index >= 1) {
              unstable.stableTo(toTerm(at), toLogIndex(index));
              model.stable(at, index);
            }
          }
        }
        expect(unstable.offset).toBe(model.offset);
        expect(unstable.length).toBe(model.entries.length);
        expect(unstable.nextEntries()).toEqual(model.entries.slice(model.inProgress - model.offset));
        expect(unstable.slice(unstable.offset, unstable.end, NO_LIMIT)).toEqual(model.entries);
      }
    }
  });

  it('what was handed out is not changed by what comes later', () => {
    const unstable = new Unstable(toNodeId(1), toLogIndex(1), undefined);
    unstable.truncateAndAppend([entry(1, 1), entry(1, 2), entry(1, 3)], 0);
    const handedOut = unstable.nextEntries();
    unstable.truncateAndAppend([entry(2, 2)], 0);
    expect(handedOut.map(({ term, index }) => [term, index])).toEqual([
      [1, 1],
      [1, 2],
      [1, 3],
    ]);
  });
});

describe('the log as one sequence', () => {
  function log(): RaftLog {
    const joined = new RaftLog(
      toNodeId(1),
      storageWith(confState(ids(1)), entries(1, 1, 2)),
      NO_LIMIT,
      undefined,
    );
    joined.append([entry(3, 6, 'x'), entry(3, 7, 'y')]);
    return joined;
  }

  it('reads across storage and what is not durable yet', () => {
    const terms = log()
      .slice(toLogIndex(3), toLogIndex(8), NO_LIMIT)
      ?.map(({ term }) => term);
    expect(terms).toEqual([1, 1, 2, 3, 3]);
  });

  it('cuts at the size limit wherever the boundary lies, but returns at least one entry', () => {
    for (let limit = 0; limit <= 60; limit += 1) {
      const whole = log().slice(toLogIndex(3), toLogIndex(8), NO_LIMIT) ?? [];
      const part = log().slice(toLogIndex(3), toLogIndex(8), limit) ?? [];
      expect(part.length).toBeGreaterThanOrEqual(1);
      expect(part).toEqual(whole.slice(0, part.length));
      const size = part.reduce((sum, { data }) => sum + 4 + (data.length === 0 ? 0 : 2 + data.length), 0);
      if (part.length > 1) expect(size).toBeLessThanOrEqual(limit);
    }
  });

  it('knows terms from just before the first entry to the last, and of none beyond', () => {
    const terms = [1, 2, 3, 5, 7, 8].map((index) => log().term(toLogIndex(index)));
    expect(terms).toEqual([undefined, 1, 1, 2, 3, undefined]);
  });

  it.each([
    { hint: [7, 2], found: [5, 2] },
    { hint: [7, 3], found: [7, 3] },
    { hint: [5, 1], found: [4, 1] },
    { hint: [9, 9], found: [9, 0] },
    { hint: [3, 0], found: [1, 0] },
  ])(
    'the last place that could agree with (index, term) $hint is $found',
    ({ hint: [index, term], found }) => {
      const { index: at, term: agreed } = log().findConflictByTerm(toLogIndex(index ?? 0), toTerm(term ?? 0));
      expect([at, agreed]).toEqual(found);
    },
  );
});

describe('the size of an entry', () => {
  const size = (type: EntryType, data: Uint8Array) => {
    const sized: Entry = { term: toTerm(1), index: toLogIndex(5), type, data };
    return { entry: entrySize(sized), payload: payloadSize([sized]) };
  };
  const change = (nodeIds: readonly number[], context = ''): Uint8Array => {
    const changes = nodeIds.map((id) => ({ type: 'addLearnerNode', nodeId: toNodeId(id) }) as const);
    const of: ConfChange = { transition: 'jointExplicit', changes, context: bytes(context) };
    return encodeConfChange(of);
  };

  // Bytes of the same change in raftpb: each scalar field that is set takes a tag and a varint even when it is 0.
  it.each<[string, EntryType, Uint8Array, number]>([
    ['a normal entry', 'normal', bytes('foo'), 3],
    ['one change', 'confChangeV2', change([2]), 2 + (2 + 4)],
    ['a change of a node with a large id', 'confChangeV2', change([300]), 2 + (2 + 5)],
    ['two changes with a context', 'confChangeV2', change([2, 3], 'abc'), 2 + 2 * (2 + 4) + (2 + 3)],
    ['leaving a joint configuration, with bytes', 'confChangeV2', change([]), 2],
    ['a change of the first version', 'confChange', change([2]), 2 + 2],
    ['a change of the first version with a context', 'confChange', change([2], 'abc'), 2 + 2 + (2 + 3)],
    ['a change that cannot be decoded', 'confChangeV2', Uint8Array.of(99, 1, 2), 3],
  ])('of %s is that of its protocol buffers encoding', (_what, type, data, expected) => {
    const head = type === 'normal' ? 4 : 6;
    expect(size(type, data)).toEqual({ entry: head + 2 + expected, payload: expected });
  });

  it('of an entry without data is that of its head alone', () => {
    expect(size('normal', new Uint8Array(0))).toEqual({ entry: 4, payload: 0 });
    for (const type of ['confChange', 'confChangeV2'] as const) {
      expect(size(type, new Uint8Array(0))).toEqual({ entry: 6, payload: 0 });
    }
  });
});

describe('the in-flight window', () => {
  it('frees what an acknowledgement covers, in any growth of the ring', () => {
    const inflights = new Inflights(100, 0);
    let next = 1;
    let oldest = 1;
    const random = new SeededRandom(5);
    for (let round = 0; round < 2000; round += 1) {
      if (random.nextInt(2) === 0 && !inflights.full()) {
        inflights.add(toLogIndex(next), 10);
        next += 1;
      } else {
        oldest = Math.min(next, oldest + random.nextInt(5));
        inflights.freeUpTo(toLogIndex(oldest - 1));
      }
      expect(inflights.count).toBe(next - oldest);
      expect(inflights.bytes).toBe((next - oldest) * 10);
    }
  });

  it('is full by bytes only when a message has crossed the limit', () => {
    const inflights = new Inflights(10, 100);
    inflights.add(toLogIndex(1), 99);
    expect(inflights.full()).toBe(false);
    inflights.add(toLogIndex(2), 500);
    expect(inflights.full()).toBe(true);
    expect(() => inflights.add(toLogIndex(3), 1)).toThrowError(/full/);
  });
});

describe('MemoryStorage', () => {
  it('replaces a conflicting tail, and skips what is compacted', () => {
    const storage = new MemoryStorage();
    storage.append([entry(1, 1), entry(1, 2), entry(1, 3)]);
    storage.append([entry(2, 2)]);
    expect(storage.lastIndex()).toBe(2);
    storage.compact(toLogIndex(1));
    storage.append([entry(1, 1), entry(2, 2), entry(2, 3)]);
    expect(storage.entries(toLogIndex(2), toLogIndex(4), NO_LIMIT).map(({ term }) => term)).toEqual([2, 2]);
  });

  it('tells what is compacted from what is not there', () => {
    const storage = storageWith(confState(ids(1)), entries(1, 1));
    expect(() => storage.term(toLogIndex(1))).toThrowError(expect.objectContaining({ code: 'compacted' }));
    expect(() => storage.term(toLogIndex(9))).toThrowError(expect.objectContaining({ code: 'unavailable' }));
    expect(() => storage.compact(toLogIndex(2))).toThrowError(expect.objectContaining({ code: 'compacted' }));
    expect(storage.createSnapshot(toLogIndex(3), confState(ids(1)), bytes('s')).metadata).toMatchObject({
      term: 1,
    });
  });
});
