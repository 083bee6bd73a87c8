import { randomBytes } from 'node:crypto';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { decompress } from 'zstd-napi';
import { OverlayManager, WorkerCompressor } from '../src/index.ts';
import type { Overlay, OverlayEvent } from '../src/index.ts';
import { TinyJournal } from './journal.ts';

const compressor = new WorkerCompressor();
afterAll(() => compressor.close());

let journal: TinyJournal;
let events: OverlayEvent[];
let storeFailure: Error | undefined;
let manager: OverlayManager;

beforeEach(() => {
  journal = new TinyJournal();
  events = [];
  storeFailure = undefined;
  manager = new OverlayManager({
    view: () => journal.view,
    compressor,
    store: async (overlay) => {
      await Promise.resolve();
      if (storeFailure !== undefined) throw storeFailure;
      journal.store(overlay);
    },
    observer: (event) => events.push(event),
  });
});

function keysOf(overlay: Overlay): Record<string, string> {
  const content = JSON.parse(decompress(overlay.data).toString()) as {
    kernel: { key: string; value: string }[];
  };
  return Object.fromEntries(content.kernel.map(({ key, value }) => [key, value]));
}

const builds = (): number => events.filter(({ type }) => type === 'built').length;

describe('OverlayManager', () => {
  it('builds what a boot needs once for all who wait, and has it stored', async () => {
    journal.set('ml', 'vm.swappiness', '1');
    const served = await Promise.all(Array.from({ length: 1_000 }, async () => manager.current('ml')));
    expect(new Set(served).size).toBe(1);
    expect(builds()).toBe(1);
    await expect.poll(() => journal.view.overlay('ml')?.version).toBe(0);
    expect(manager.current('ml')).toBe(journal.view.overlay('ml'));
  });

  it('never serves an overlay older than the state was at the call', async () => {
    journal.set('ml', 'a', '0');
    for (let round = 1; round <= 50; round += 1) {
      const before = manager.current('ml');
      const version =
        round % 5 === 0 ? journal.setGlobal('g', String(round)) : journal.set('ml', 'a', String(round));
      const after = await manager.current('ml');
      expect(after.version).toBe(version);
      expect(keysOf(after)[round % 5 === 0 ? 'g' : 'a']).toBe(String(round));
      expect((await before).version).toBe(version - 1);
    }
  });

  it('serves a built overlay again while it cannot be stored', async () => {
    storeFailure = new Error('no leader');
    journal.set('ml', 'a', '1');
    const first = await manager.current('ml');
    await expect.poll(() => events.some(({ type }) => type === 'storeFailed')).toBe(true);
    expect(await manager.current('ml')).toBe(first);
    expect(builds()).toBe(1);
    expect(manager.stats()).toMatchObject({
      stale: 1,
      storeFailures: 1,
      cacheSizeBytes: first.data.byteLength,
    });
  });

  it('gives a virtual cluster without a version an overlay of version 0 that is not stored', async () => {
    journal.name('empty');
    const overlay = await manager.current('empty');
    expect(overlay.version).toBe(0);
    expect(keysOf(overlay)).toEqual({});
    journal.setGlobal('g', '1'); // this is version 0 as well, and another one
    expect(keysOf(await manager.current('empty'))).toEqual({ g: '1' });
    await expect.poll(() => journal.view.overlay('empty')?.version).toBe(0);
    expect(events.filter(({ type }) => type === 'stored')).toHaveLength(1);
  });

  it('refuses a virtual cluster that nothing has mentioned', () => {
    expect(() => manager.current('nowhere')).toThrow(expect.objectContaining({ code: 'unknownVCluster' }));
  });

  it('finds out once that an overlay is too large, until something changes', async () => {
    for (let index = 0; index < 12; index += 1) {
      journal.set('ml', `k${index}`, randomBytes(1_200_000).toString('base64'));
    }
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(manager.current('ml')).rejects.toMatchObject({ code: 'tooLarge' });
    }
    expect(manager.stats().buildFailures).toBe(1);
    for (let index = 0; index < 12; index += 1) journal.set('ml', `k${index}`, 'short');
    expect((await manager.current('ml')).version).toBe(23);
  });

  it('stores only what is stale', async () => {
    journal.set('ml', 'a', '1');
    expect(await manager.ensureStored('ml', 'operator')).toBe(true);
    expect(await manager.ensureStored('ml', 'operator')).toBe(false);
    expect(manager.stats()).toMatchObject({ stale: 0, stores: 1, builds: { operator: 1 } });
  });

  it('keeps at most so many bytes of overlays that are not stored', async () => {
    const small = new OverlayManager({
      view: () => journal.view,
      compressor,
      store: () => Promise.reject(new Error('no leader')),
      cacheSizeBytesMax: 2_000,
    });
    for (let index = 0; index < 20; index += 1) {
      journal.set(`v${index}`, 'a', '1');
      await small.current(`v${index}`);
    }
    expect(small.stats().cacheSizeBytes).toBeLessThanOrEqual(2_000);
    expect(small.stats().cacheSizeBytes).toBeGreaterThan(0);
  });
});
