import { createHash } from 'node:crypto';
import zstd from 'zstd-napi/binding.js';
import { DELTA_KINDS } from '@pact-journal/journal-state';
import type { DeltaItem, DeltaKind, VClusterPolicy } from '@pact-journal/journal-state';
import { BootStreamError } from '../errors.ts';

/** A key's value in a node's effective configuration. */
export interface ConfigValue {
  readonly value: string | null;
  readonly spec?: DeltaItem['spec'];
}

/** What a node is to look like: for each of the seven kinds, its keys in code-unit order. */
export type NodeConfig = { readonly [Kind in DeltaKind]: Readonly<Record<string, ConfigValue>> };

type Items = { readonly [Kind in DeltaKind]: readonly DeltaItem[] };

/** An overlay's content. */
export interface OverlayDocument extends Items {
  readonly vcluster_id: string;
  readonly version: number;
  readonly policy: VClusterPolicy;
}

/** Fails with `corrupt` where the data is not what the checksum was made of. */
export function verifyChecksum(data: Uint8Array, checksum: string, what: string): void {
  const actual = `sha256:${createHash('sha256').update(data).digest('hex')}`;
  if (actual !== checksum) {
    throw new BootStreamError(
      'corrupt',
      `${what}: the data is ${actual}, announced was ${checksum.slice(0, 100)}`,
    );
  }
}

/** Frames that need more than this to be read are not ours: 2^26 is the largest content. */
const WINDOW_LOG_MAX = 26;

/**
 * Decompresses zstd data to at most `sizeBytesMax`. What a frame says of its size is believed only as far as that:
 * neither a frame that announces more nor one that turns out to hold more costs more memory.
 */
export function decompressBounded(data: Uint8Array, sizeBytesMax: number): Buffer {
  try {
    const announced = data.byteLength === 0 ? null : zstd.getFrameContentSize(data);
    if (announced !== null && announced > sizeBytesMax)
      throw bomb(`announces ${announced} bytes`, sizeBytesMax);
    const context = new zstd.DCtx();
    context.setParameter(zstd.DParameter.windowLogMax, WINDOW_LOG_MAX);
    // A byte more than allowed or announced is enough to find out that there is more.
    let room = (announced ?? Math.min(sizeBytesMax, data.byteLength * 4)) + 1;
    let content = Buffer.allocUnsafe(room);
    let produced = 0;
    for (let input = data; ;) {
      const [hint, written, consumed] = context.decompressStream(content.subarray(produced), input);
      produced += written;
      input = input.subarray(consumed);
      if (produced > sizeBytesMax) throw bomb('holds more', sizeBytesMax);
      if (hint === 0 && input.byteLength === 0) return content.subarray(0, produced);
      if (written === 0 && consumed === 0 && produced < room) throw new Error('the data is cut off');
      if (produced === room) {
        room = Math.min(room * 2, sizeBytesMax + 1);
        content = Buffer.concat([content], room);
      }
    }
  } catch (error) {
    if (error instanceof BootStreamError) throw error;
    throw new BootStreamError('corrupt', 'the overlay is not valid zstd data', { cause: error });
  }
}

function bomb(how: string, sizeBytesMax: number): BootStreamError {
  return new BootStreamError(
    'tooLarge',
    `the overlay ${how}, at most ${sizeBytesMax} bytes are taken once decompressed`,
  );
}

export function parseOverlay(content: Buffer): OverlayDocument {
  const document = parseItems(content, 'the overlay');
  const { vcluster_id: vclusterId, version, policy } = document as Partial<OverlayDocument>;
  if (typeof vclusterId !== 'string' || typeof version !== 'number' || typeof policy !== 'object') {
    throw new BootStreamError('corrupt', 'the overlay lacks vcluster_id, version or policy');
  }
  return document as OverlayDocument;
}

export function parseDelta(content: Uint8Array): Items {
  return parseItems(content, "the node's delta");
}

function parseItems(content: Uint8Array, what: string): Items {
  let document: unknown;
  try {
    document = JSON.parse(
      Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('utf8'),
    );
  } catch (error) {
    throw new BootStreamError('corrupt', `${what} is not valid JSON`, { cause: error });
  }
  for (const kind of DELTA_KINDS) {
    const items: unknown = isRecord(document) ? document[kind] : undefined;
    if (!Array.isArray(items))
      throw new BootStreamError('corrupt', `${what} has no array ${JSON.stringify(kind)}`);
    if (!items.every(isItem)) {
      throw new BootStreamError(
        'corrupt',
        `${what} has an item without action, key and value in ${JSON.stringify(kind)}`,
      );
    }
  }
  return document as Items;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

const ACTIONS: ReadonlySet<unknown> = new Set(['Add', 'Modify', 'Remove']);

function isItem(item: unknown): item is DeltaItem {
  if (!isRecord(item)) return false;
  const { action, key, value } = item;
  return ACTIONS.has(action) && typeof key === 'string' && (value === null || typeof value === 'string');
}

/** The overlay's items with the node's delta on top. */
export function effectiveConfig(overlay: Items, delta: Items): NodeConfig {
  const kinds = DELTA_KINDS.map((kind) => {
    const values = new Map<string, ConfigValue>();
    for (const items of [overlay[kind], delta[kind]]) {
      for (const { action, key, value, spec } of items) {
        if (action === 'Remove') values.delete(key);
        else values.set(key, spec === undefined ? { value } : { value, spec });
      }
    }
    const sorted = [...values].sort(([left], [right]) => (left < right ? -1 : 1));
    return [kind, Object.fromEntries(sorted)] as const;
  });
  return Object.fromEntries(kinds) as unknown as NodeConfig;
}
