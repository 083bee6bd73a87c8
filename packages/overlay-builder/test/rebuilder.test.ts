import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OverlayManager, OverlayRebuilder, WorkerCompressor } from '../src/index.ts';
import type { OverlayEvent } from '../src/index.ts';
import { TinyJournal } from './journal.ts';

const compressor = new WorkerCompressor();
afterAll(() => compressor.close());

let journal: TinyJournal;
let events: OverlayEvent[];
let manager: OverlayManager;
let rebuilder: OverlayRebuilder;
let failuresLeft: number;

beforeEach(() => {
  journal = new TinyJournal();
  events = [];
  failuresLeft = 0;
  manager = new OverlayManager({
    view: () => journal.view,
    compressor,
    store: async (overlay) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (failuresLeft-- > 0) throw new Error('overloaded');
      journal.store(overlay);
    },
    observer: (event) => events.push(event),
  });
  rebuilder = new OverlayRebuilder({ manager, view: () => journal.view, coalesceMs: 2, intervalMsMin: 10 });
});
afterEach(() => rebuilder.stop());

function commit(vclusterId: string, value: string): void {
  journal.set(vclusterId, 'a', value);
  rebuilder.notify({ VCluster: vclusterId });
}

const builtBy = (reason: string): number =>
  events.filter((event) => event.type === 'built' && event.reason === reason).length;
const stale = (): number => manager.stats().stale;

describe('OverlayRebuilder', () => {
  it('finds on taking over what its predecessors left stale, and nothing else', async () => {
    for (let index = 0; index < 30; index += 1) journal.set(`v${index}`, 'a', '1');
    for (let index = 0; index < 10; index += 1) await manager.ensureStored(`v${index}`, 'operator');
    rebuilder.start();
    await rebuilder.whenIdle();
    expect(stale()).toBe(0);
    expect(builtBy('leadership')).toBe(20);
  });

  it('rebuilds a virtual cluster once for a burst of commits', async () => {
    rebuilder.start();
    for (let index = 0; index < 200; index += 1) commit('ml', String(index));
    await rebuilder.whenIdle();
    expect(stale()).toBe(0);
    expect(builtBy('commit')).toBe(1);
  });

  it('ends current whatever arrives while it works', async () => {
    rebuilder.start();
    for (let round = 0; round < 60; round += 1) {
      commit(`v${round % 7}`, String(round));
      if (round % 10 === 0) {
        journal.setGlobal('g', String(round));
        rebuilder.notify('Global');
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await rebuilder.whenIdle();
    expect(stale()).toBe(0);
  });

  it('rebuilds all for a global change, and lets a single one overtake', async () => {
    rebuilder.start();
    for (let index = 0; index < 100; index += 1) journal.set(`v${index}`, 'a', '1');
    rebuilder.notify('Global');
    journal.setGlobal('g', '1');
    await expect.poll(() => builtBy('global') > 3, { interval: 1 }).toBe(true);
    commit('urgent', '1');
    await expect.poll(() => builtBy('commit'), { interval: 1 }).toBe(1);
    expect(builtBy('global')).toBeLessThan(100);
    await rebuilder.whenIdle();
    expect(stale()).toBe(0);
  });

  it('tries again after failures to store', async () => {
    failuresLeft = 2;
    rebuilder.start();
    commit('ml', '1');
    await rebuilder.whenIdle();
    expect(stale()).toBe(0);
    expect(manager.stats()).toMatchObject({ storeFailures: 2, stores: 1 });
    expect(builtBy('commit')).toBe(1); // what is stored in the end was built once
  });

  it('does nothing before it starts and after it stops', async () => {
    commit('ml', '1');
    await rebuilder.whenIdle();
    rebuilder.start();
    await rebuilder.whenIdle();
    rebuilder.stop();
    commit('ml', '2');
    await rebuilder.whenIdle();
    expect(events.filter(({ type }) => type === 'built')).toHaveLength(1);
    expect(stale()).toBe(1);
  });

  it('does no harm beside another one that believes to lead', async () => {
    const other = new OverlayRebuilder({
      manager,
      view: () => journal.view,
      coalesceMs: 2,
      intervalMsMin: 10,
    });
    rebuilder.start();
    other.start();
    for (let index = 0; index < 20; index += 1) {
      commit(`v${index}`, '1');
      other.notify({ VCluster: `v${index}` });
    }
    await rebuilder.whenIdle();
    await other.whenIdle();
    other.stop();
    expect(stale()).toBe(0);
    expect(manager.stats().stores).toBe(20);
  });
});
