import { describe, expect, it } from 'vitest';
import { toLogIndex, toNodeId, toTerm } from '../../src/core/ids.ts';
import { createMessage } from '../../src/core/message.ts';
import type { Entry, HardState, Message } from '../../src/core/types.ts';
import { AppendWorker, type AppendRequest } from '../../src/runtime/append-worker.ts';
import { ManualClock, MemoryLogStore } from '../../src/testing/index.ts';

function entries(from: number, to: number, term: number): readonly Entry[] {
  return Array.from({ length: to - from + 1 }, (_, offset) => ({
    index: toLogIndex(from + offset),
    term: toTerm(term),
    type: 'normal' as const,
    data: Uint8Array.of(term),
  }));
}

function hardState(term: number, commit: number): HardState {
  return { term: toTerm(term), vote: toNodeId(1), commit: toLogIndex(commit) };
}

function request(fields: Partial<AppendRequest>): AppendRequest {
  return {
    entries: [],
    hardState: undefined,
    mustSync: (fields.entries?.length ?? 0) > 0,
    snapshot: undefined,
    responses: [],
    ...fields,
  };
}

interface Bench {
  readonly clock: ManualClock;
  readonly log: MemoryLogStore;
  readonly worker: AppendWorker;
  readonly delivered: Message[];
  readonly writes: { readonly indexes: readonly number[]; readonly commit: number | undefined }[];
  hold(): void;
  release(): void;
}

async function bench(): Promise<Bench> {
  const clock = new ManualClock();
  const waiting: (() => void)[] = [];
  let held = false;
  const writes: Bench['writes'] = [];
  const log = new MemoryLogStore({
    beforeSync: (operation) => {
      if (operation.type === 'append') {
        const { batch } = operation;
        writes.push({ indexes: batch.entries.map((entry) => entry.index), commit: batch.hardState?.commit });
      }
      return held ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve();
    },
  });
  await log.open();
  const delivered: Message[] = [];
  const worker = new AppendWorker(log, clock, {
    onDurable: (responses) => delivered.push(...responses),
    installSnapshot: () => Promise.reject(new Error('not in these tests')),
    onReport: () => undefined,
    onFailure: (error) => {
      throw error;
    },
  });
  return {
    clock,
    log,
    worker,
    delivered,
    writes,
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

describe('the append worker', () => {
  it('merges what conflicts: a later append replaces the suffix it overlaps', async () => {
    const { clock, log, worker, writes, hold, release } = await bench();
    hold();
    worker.enqueue(request({ entries: entries(1, 3, 1) }));
    await clock.settle();
    worker.enqueue(request({ entries: entries(4, 9, 1) }));
    worker.enqueue(request({ entries: entries(6, 7, 2) }));
    worker.enqueue(request({ entries: entries(3, 4, 3) }));
    worker.enqueue(request({ entries: entries(5, 5, 3) }));
    release();
    await clock.settle();
    expect(writes.map((write) => write.indexes)).toEqual([
      [1, 2, 3],
      [3, 4, 5],
    ]);
    expect(log.entries(toLogIndex(1), toLogIndex(6), 1000).map((entry) => entry.term)).toEqual([
      1, 1, 3, 3, 3,
    ]);
  });

  it('begins a write at once, or in the next turn where something is to be sent before, with what comes till then', async () => {
    const { clock, worker, writes } = await bench();
    worker.enqueue(request({ entries: entries(1, 1, 1) }));
    expect(writes.map(({ indexes }) => indexes)).toEqual([[1]]);
    await clock.settle();
    worker.enqueue(request({ entries: entries(2, 2, 1) }), true);
    worker.enqueue(request({ entries: entries(3, 3, 1) }));
    await Promise.resolve();
    expect(writes).toHaveLength(1);
    await clock.settle();
    expect(writes.map(({ indexes }) => indexes)).toEqual([[1], [2, 3]]);
  });

  it('ends with a write that was to begin in the next turn', async () => {
    const { clock, worker, writes, log } = await bench();
    worker.enqueue(request({ entries: entries(1, 1, 1) }), true);
    const drained = worker.drain();
    await clock.settle();
    await drained;
    expect(writes).toHaveLength(1);
    expect(log.lastIndex()).toBe(1);
  });

  it('delivers responses in their order, and none before its write is durable', async () => {
    const { clock, worker, delivered, hold, release } = await bench();
    const answer = (index: number): Message =>
      createMessage({ type: 'MsgAppResp', index: toLogIndex(index) });
    hold();
    worker.enqueue(request({ entries: entries(1, 1, 1), responses: [answer(1)] }));
    worker.enqueue(request({ entries: entries(2, 2, 1), responses: [answer(2), answer(3)] }));
    worker.enqueue(request({ responses: [answer(4)] }));
    await clock.settle();
    expect(delivered).toEqual([]);
    release();
    await clock.settle();
    expect(delivered.map((message) => message.index)).toEqual([1, 2, 3, 4]);
  });

  it('never makes a commit index durable before the entries that it commits', async () => {
    const { clock, log, worker, writes, hold, release } = await bench();
    hold();
    worker.enqueue(request({ entries: entries(1, 1, 1) }));
    await clock.settle();
    worker.enqueueJob(() => log.compact(toLogIndex(1)));
    worker.enqueue(request({ entries: entries(2, 5, 1) }));
    worker.enqueueJob(() => Promise.resolve());
    worker.enqueue(request({ entries: entries(6, 6, 1) }));
    worker.enqueue(request({ hardState: hardState(1, 6) }));
    release();
    await clock.settle();
    worker.flushHint();
    await clock.settle();
    let last = 0;
    for (const { indexes, commit } of writes) {
      last = Math.max(last, ...indexes);
      expect(commit ?? 0).toBeLessThanOrEqual(last);
    }
    expect(log.hardState.commit).toBe(6);
  });

  it('takes a commit index along with the next append, or writes it when asked', async () => {
    const { clock, log, worker, writes } = await bench();
    worker.enqueue(request({ entries: entries(1, 2, 1), hardState: hardState(1, 0) }));
    await clock.settle();
    worker.enqueue(request({ hardState: hardState(1, 1) }));
    worker.enqueue(request({ hardState: hardState(1, 2) }));
    await clock.settle();
    expect(writes).toHaveLength(1);
    worker.enqueue(request({ entries: entries(3, 3, 1) }));
    await clock.settle();
    expect(writes).toHaveLength(2);
    expect(log.hardState.commit).toBe(2);
    worker.enqueue(request({ hardState: hardState(1, 3) }));
    worker.flushHint();
    await clock.settle();
    expect(log.hardState.commit).toBe(3);
  });

  it('answers what needs no write without one, once all before is durable', async () => {
    const { clock, worker, delivered, writes, hold, release } = await bench();
    hold();
    worker.enqueue(request({ entries: entries(1, 2, 1) }));
    await clock.settle();
    const answer = createMessage({ type: 'MsgAppResp', index: toLogIndex(2) });
    worker.enqueue(request({ hardState: hardState(1, 2), responses: [answer] }));
    await clock.settle();
    expect(delivered).toEqual([]);
    release();
    await clock.settle();
    expect(delivered).toEqual([answer]);
    expect(writes).toHaveLength(1);
  });

  it('writes no more than some megabytes at once', async () => {
    const { clock, worker, writes, hold, release } = await bench();
    const large = (index: number): readonly Entry[] => [
      { index: toLogIndex(index), term: toTerm(1), type: 'normal', data: new Uint8Array(3 * 1024 * 1024) },
    ];
    hold();
    for (let index = 1; index <= 10; index++) worker.enqueue(request({ entries: large(index) }));
    release();
    await clock.settle();
    expect(writes.flatMap((write) => write.indexes)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(Math.max(...writes.map((write) => write.indexes.length))).toBeLessThanOrEqual(3);
  });

  it('lets nothing overlap: jobs and appends take their turns', async () => {
    const { clock, log, worker, hold, release } = await bench();
    hold();
    const order: string[] = [];
    worker.enqueue(request({ entries: entries(1, 5, 1) }));
    worker.enqueueJob(async () => {
      order.push(`job sees ${log.lastIndex()}`);
      await Promise.resolve();
    });
    worker.enqueue(request({ entries: entries(6, 6, 1) }));
    await clock.settle();
    expect(order).toEqual([]);
    release();
    await clock.settle();
    expect(order).toEqual(['job sees 5']);
    expect(log.lastIndex()).toBe(6);
  });
});
