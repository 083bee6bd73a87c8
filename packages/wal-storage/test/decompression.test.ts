/** Snapshots come from peers and from backups: what they say of themselves must not cost more memory than makes sense. */
import { compress } from 'zstd-napi';
import { expect, it } from 'vitest';
import { parseSealed } from '../src/snapshot/manifest.ts';
import { FrameDecompressor } from '../src/snapshot/zstd.ts';

const MIB = 1024 * 1024;

it('a chunk that decompresses to more than its manifest says is refused and takes no more memory than that', () => {
  const bomb = compress(Buffer.alloc(300 * MIB));
  expect(bomb.length).toBeLessThan(100_000);
  const before = process.memoryUsage().arrayBuffers;
  expect(() => new FrameDecompressor().decompress(bomb, 1_000)).toThrow();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * MIB);
});

it.each(['size_bytes', 'raw_size_bytes'])(
  'a manifest that announces a chunk of 300 MiB by its %s is none',
  (field) => {
    const chunk = { sha256: 'a'.repeat(64), size_bytes: 10, raw_size_bytes: 10, records: 1 };
    const sealed = (item: object): unknown =>
      parseSealed({ kind: 'sealed', key: 'entries/0', chunks: [item] });
    expect(sealed(chunk)).toBeDefined();
    expect(sealed({ ...chunk, [field]: 300 * MIB })).toBeUndefined();
  },
);
