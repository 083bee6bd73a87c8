/** What a boot storm verifies and measures, held against bodies laid out by the test, and what it leaves to others. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { getPriority } from 'node:os';
import { stream } from '@pact-journal/journal-proto';
import { describe, expect, test } from 'vitest';
import { percentile, StormStatistics } from '../../src/cli/storm/statistics.ts';
import { CorruptPayload, PayloadVerifier, type VerifiedBoot } from '../../src/cli/storm/verification.ts';
import { startCli } from './run-cli.ts';

const overlay = Buffer.from('a compressed overlay in three pieces');
const delta = Buffer.from('{"kernel":[]}');

const sha256 = (data: Uint8Array) => `sha256:${createHash('sha256').update(data).digest('hex')}`;

type Chunk = NonNullable<stream.ConfigChunk['chunk']>;

function frame(chunk: Chunk): Buffer {
  const message = stream.ConfigChunk.encode({ chunk }).finish();
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function overlayChunk(chunkIndex: number, change: Partial<stream.OverlayChunk> = {}): Chunk {
  const data = overlay.subarray(chunkIndex * 12, chunkIndex * 12 + 12);
  const value = {
    version: 7,
    vclusterId: 'v',
    data,
    chunkIndex,
    totalChunks: 3,
    checksum: sha256(overlay),
    ...change,
  };
  return { $case: 'baseOverlay', value };
}

function nodeDelta(change: Partial<stream.NodeDelta> = {}): Chunk {
  return {
    $case: 'nodeDelta',
    value: { nodeId: 'n1', version: 9, data: delta, checksum: sha256(delta), ...change },
  };
}

function complete(change: Partial<stream.ConfigComplete> = {}): Chunk {
  return { $case: 'complete', value: { baseVersion: 7, nodeVersion: 9, timestamp: undefined, ...change } };
}

const whole = [overlayChunk(0), overlayChunk(1), overlayChunk(2), nodeDelta(), complete()];

const bytes = (chunks: readonly Chunk[]) => Buffer.concat(chunks.map(frame));

/** Verifies a body that comes in pieces of `pieceBytes`. */
function verify(verifier: PayloadVerifier, body: Buffer, pieceBytes = 17): VerifiedBoot {
  const collector = verifier.collect();
  for (let at = 0; at < body.length; at += pieceBytes) collector.take(body.subarray(at, at + pieceBytes));
  return verifier.verify(collector, 'n1');
}

describe('verifying a boot', () => {
  test('a whole one has its versions and size, and its overlay is decoded once a version', () => {
    let decoded = 0;
    const verifier = new PayloadVerifier('v', (data) => {
      decoded += 1;
      expect(Buffer.from(data)).toEqual(overlay);
    });
    const expected = { baseVersion: 7, nodeVersion: 9, sizeBytes: overlay.length + delta.length };
    expect(verify(verifier, bytes(whole))).toEqual(expected);
    expect(verify(verifier, bytes(whole))).toEqual(expected);
    expect(decoded).toBe(1);
  });

  test.each<[string, readonly Chunk[]]>([
    ['nothing', []],
    ['no overlay', [nodeDelta(), complete()]],
    ['a missing piece', [overlayChunk(0), overlayChunk(2), nodeDelta(), complete()]],
    ['pieces out of order', [overlayChunk(1), overlayChunk(0), overlayChunk(2), nodeDelta(), complete()]],
    [
      'a piece of another overlay',
      [overlayChunk(0), overlayChunk(1, { checksum: 'sha256:0' }), overlayChunk(2), nodeDelta(), complete()],
    ],
    [
      'a changed piece',
      [
        overlayChunk(0),
        overlayChunk(1, { data: Buffer.from('twelve bytes') }),
        overlayChunk(2),
        nodeDelta(),
        complete(),
      ],
    ],
    ['another version than completed', [...whole.slice(0, 4), complete({ baseVersion: 8 })]],
    ['no delta', [...whole.slice(0, 3), complete()]],
    [
      'a changed delta',
      [...whole.slice(0, 3), nodeDelta({ data: Buffer.from('{"kernel":{}}') }), complete()],
    ],
    ["another node's delta", [...whole.slice(0, 3), nodeDelta({ nodeId: 'n2' }), complete()]],
    [
      'an overlay after the delta',
      [overlayChunk(0), overlayChunk(1), nodeDelta(), overlayChunk(2), complete()],
    ],
    ['no completion', whole.slice(0, 4)],
    ['more after the completion', [...whole, nodeDelta()]],
  ])('%s is corrupt', (_what, chunks) => {
    const verifier = new PayloadVerifier('v', () => undefined);
    expect(() => verify(verifier, bytes(chunks))).toThrow(CorruptPayload);
    verify(verifier, bytes(whole));
    expect(() => verify(verifier, bytes(chunks)), 'after a whole one').toThrow(CorruptPayload);
  });

  test('no cut of a whole one passes, whether its overlay is known or not', () => {
    const all = bytes(whole);
    const knowing = new PayloadVerifier('v', () => undefined);
    verify(knowing, all);
    for (let length = 0; length < all.length; length += 1) {
      for (const verifier of [new PayloadVerifier('v', () => undefined), knowing]) {
        expect(() => verify(verifier, all.subarray(0, length)), `cut at ${String(length)}`).toThrow();
      }
    }
  });

  test('a changed bit among the messages of an overlay never passes with another overlay, known or not', () => {
    const all = bytes(whole);
    const overlayBytes = bytes(whole.slice(0, 3)).length;
    const same = (data: Uint8Array) => {
      expect(Buffer.from(data)).toEqual(overlay);
    };
    const knowing = new PayloadVerifier('v', same);
    verify(knowing, all);
    let passed = 0;
    for (let bit = 0; bit < overlayBytes * 8; bit += 1) {
      const changed = Buffer.from(all);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      for (const verifier of [new PayloadVerifier('v', same), knowing]) {
        try {
          expect(verify(verifier, changed).baseVersion).toBe(7);
          passed += 1;
        } catch (error) {
          if (error instanceof Error && error.name === 'AssertionError') throw error;
        }
      }
    }
    // Only what protobuf itself does not look at may change.
    expect(passed).toBeLessThan(overlayBytes / 4);
  });

  test('a new version after a known one is verified as any', () => {
    const next = whole.map((chunk): Chunk => {
      if (chunk.$case === 'baseOverlay') return { ...chunk, value: { ...chunk.value, version: 8 } };
      return chunk.$case === 'complete' ? { ...chunk, value: { ...chunk.value, baseVersion: 8 } } : chunk;
    });
    for (let pieceBytes = 1; pieceBytes < 200; pieceBytes += 7) {
      const verifier = new PayloadVerifier('v', () => undefined);
      const versions = [whole, next, next, whole].map(
        (chunks) => verify(verifier, bytes(chunks), pieceBytes).baseVersion,
      );
      expect(versions).toEqual([7, 8, 8, 7]);
    }
  });

  test('an overlay that cannot be decoded is corrupt, every time', () => {
    const verifier = new PayloadVerifier('v', () => {
      throw new Error('bad magic');
    });
    expect(() => verify(verifier, bytes(whole))).toThrow(/cannot be decoded: bad magic/u);
    expect(() => verify(verifier, bytes(whole))).toThrow(CorruptPayload);
  });
});

describe('the report', () => {
  test('has nearest-rank percentiles of what succeeded, rates, and failures by code', () => {
    const statistics = new StormStatistics();
    for (let ms = 100; ms >= 1; ms -= 1) statistics.success(ms, 1_000_000);
    statistics.failure('UNAVAILABLE', 'connection refused');
    statistics.failure('NOT_FOUND', 'who?');
    statistics.failure('UNAVAILABLE', 'reset');
    expect(statistics.report(2000)).toEqual({
      nodes: 103,
      succeeded: 100,
      failed: 3,
      duration_s: 2,
      boots_per_s: 50,
      mb_per_s: 50,
      p50_ms: 50,
      p99_ms: 99,
      max_ms: 100,
      failures: { NOT_FOUND: 1, UNAVAILABLE: 2 },
    });
    expect([...statistics.examples]).toEqual([
      ['UNAVAILABLE', 'connection refused'],
      ['NOT_FOUND', 'who?'],
    ]);
  });

  test('of nothing is zero, not a division by it', () => {
    expect(new StormStatistics().report(0)).toMatchObject({
      nodes: 0,
      boots_per_s: 0,
      mb_per_s: 0,
      p50_ms: 0,
      max_ms: 0,
    });
  });

  test('percentiles of one value are that value', () => {
    for (const fraction of [0, 0.5, 0.99, 1]) expect(percentile([42], fraction)).toBe(42);
  });
});

test.skipIf(process.platform === 'win32')(
  'a storm gives way to the server on the same machine, unless it is told not to',
  async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const endpoint = `127.0.0.1:${String((silent.address() as AddressInfo).port)}`;
    const niceness = async (...flags: readonly string[]): Promise<number> => {
      const connected = once(silent, 'connection');
      const child = startCli(['storm', '--vcluster', 'v', '--nodes', '1', '--endpoint', endpoint, ...flags]);
      const ended = once(child, 'close');
      await connected;
      const priority = getPriority(child.pid);
      child.kill('SIGKILL');
      await ended;
      return priority;
    };
    const own = getPriority();
    expect(await niceness('--niceness', '0')).toBe(own);
    expect(await niceness('--niceness', '19')).toBe(19);
    if (own <= 5) expect(await niceness()).toBe(5);
    silent.close();
  },
);
