import { randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { decompress } from 'zstd-napi';
import type { EntrySeq } from '@pact-journal/journal-state';
import { buildOverlay, canonicalContent, checksumOf, WorkerCompressor } from '../src/index.ts';
import type { OverlayContent } from '../src/index.ts';
import { configWith, policyOf } from './journal.ts';

const compressor = new WorkerCompressor();
afterAll(() => compressor.close());

function contentWith(keys: number, value: () => string): OverlayContent {
  const items = Array.from({ length: keys }, (_, index) => {
    const key = `/etc/key-${String(index).padStart(6, '0')}`;
    return [key, { value: value(), set_by: 0 as EntrySeq }] as const;
  });
  return { vcluster_id: 'v', version: 7, config: configWith('files', items), policy: policyOf('v') };
}

describe('buildOverlay', () => {
  it('compresses the canonical content and states its checksum and sizes', async () => {
    const content = contentWith(1_200, () => 'sha256:00');
    const overlay = await buildOverlay(content, compressor);
    const canonical = canonicalContent(content);
    expect(Buffer.compare(decompress(overlay.data), canonical)).toBe(0);
    expect(overlay).toMatchObject({
      vcluster_id: 'v',
      version: 7,
      checksum: checksumOf(overlay.data),
      raw_size_bytes: canonical.byteLength,
    });
  });

  it('gives the same bytes in another thread and beside other builds', async () => {
    const content = contentWith(300, () => 'on');
    const other = new WorkerCompressor();
    const [first, , second] = await Promise.all([
      buildOverlay(content, compressor),
      buildOverlay(
        contentWith(50, () => 'off'),
        compressor,
      ),
      buildOverlay(content, other),
    ]);
    await other.close();
    expect(Buffer.compare(first.data, second.data)).toBe(0);
  });

  it('refuses an overlay of more than 10 MiB, and goes on', async () => {
    const random = contentWith(100_000, () => randomBytes(150).toString('base64'));
    await expect(buildOverlay(random, compressor)).rejects.toMatchObject({
      name: 'OverlayError',
      code: 'tooLarge',
    });
    await expect(
      buildOverlay(
        contentWith(1, () => 'x'),
        compressor,
      ),
    ).resolves.toMatchObject({ version: 7 });
  });

  it('lets the event loop run while it writes a big content', async () => {
    const content = contentWith(300_000, () => 'x');
    let turns = 0;
    let done = false;
    const count = (): void => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    await buildOverlay(content, compressor);
    done = true;
    expect(turns).toBeGreaterThan(5);
  });
});

describe('WorkerCompressor', () => {
  it('does urgent jobs before background ones', async () => {
    const own = new WorkerCompressor();
    const order: string[] = [];
    const job = async (name: string, priority: 'urgent' | 'background'): Promise<void> => {
      await own.compress(() => Promise.resolve(new Uint8Array(100_000)), priority);
      order.push(name);
    };
    const jobs = ['b1', 'b2', 'b3', 'b4'].map((name) => job(name, 'background'));
    await Promise.all([...jobs, job('u1', 'urgent')]);
    await own.close();
    expect(order.indexOf('u1')).toBe(2); // two were with the thread already
  });

  it('fails what waits when it is closed, and what comes later', async () => {
    const own = new WorkerCompressor();
    const jobs = [1, 2, 3, 4].map(() => own.compress(() => Promise.resolve(new Uint8Array(10)), 'urgent'));
    const outcomes = Promise.allSettled(jobs);
    await own.close();
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'closed' } });
    await expect(own.compress(() => Promise.resolve(new Uint8Array(10)), 'urgent')).rejects.toMatchObject({
      code: 'closed',
    });
  });

  it('fails its jobs when the thread dies, and starts another for the next ones', async () => {
    const own = new WorkerCompressor({ workerUrl: new URL('./dying-worker.mjs', import.meta.url) });
    const compress = (first: number): Promise<unknown> =>
      own.compress(() => Promise.resolve(new Uint8Array([first])), 'urgent');
    await expect(compress(1)).rejects.toMatchObject({ code: 'compressionFailed' });
    await expect(compress(0)).resolves.toMatchObject({ checksum: 'survived' });
    await own.close();
  });
});
