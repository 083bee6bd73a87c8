import { changesConfiguration } from '@pact-journal/journal-state';
import type { ConfigEntry, JournalView, Scope } from '@pact-journal/journal-state';
import {
  bytesFieldSize,
  FieldWriter,
  FRAME_PREFIX_BYTES,
  messageFieldSize,
  uintFieldSize,
} from './protobuf.ts';

/** Which field of ConfigUpdate carries an entry. */
export type UpdateKind = 'vcluster_change' | 'node_change' | 'policy_change' | 'blacklist_change';

/**
 * The key (of kind `kernel`, so that its value is text) under which a scope declares its drift blacklist: path patterns
 * separated by commas. It is configuration like any other, and travels in overlays too.
 */
export const BLACKLIST_KEY = 'pact.drift.blacklist';

/** Field numbers of pact.stream.ConfigUpdate. */
const FIELD = {
  sequence: 1,
  timestamp: 2,
  vcluster_change: 3,
  node_change: 4,
  policy_change: 5,
  blacklist_change: 6,
} as const;
const TIMESTAMP = { seconds: 1, nanos: 2 } as const;

/**
 * - `policy_change`: a PolicyUpdate of a virtual cluster; carries the policy that was set.
 * - `blacklist_change`: an entry that declares {@link BLACKLIST_KEY} and nothing else; carries the patterns.
 * - `node_change`: any other entry of a node's scope; carries the entry.
 * - `vcluster_change`: any other entry of a virtual cluster's or the global scope; carries the entry.
 */
export function updateKind(entry: ConfigEntry): UpdateKind {
  if (entry.entry_type === 'PolicyUpdate' && vclusterOf(entry.scope) !== undefined) return 'policy_change';
  if (blacklistOf(entry) !== undefined) return 'blacklist_change';
  return typeof entry.scope === 'object' && 'Node' in entry.scope ? 'node_change' : 'vcluster_change';
}

export function vclusterOf(scope: Scope): string | undefined {
  return typeof scope === 'object' && 'VCluster' in scope ? scope.VCluster : undefined;
}

function payloadOf(entry: ConfigEntry, kind: UpdateKind, view: JournalView): unknown {
  // An entry that was appended as it is, without SetPolicy, carries none: then the one in force.
  if (kind === 'policy_change') return entry.policy ?? view.policy(vclusterOf(entry.scope) ?? '');
  return kind === 'blacklist_change' ? blacklistOf(entry) : entry;
}

function blacklistOf(entry: ConfigEntry): readonly string[] | undefined {
  // What was only seen, or is only asked for, changes no blacklist.
  if (entry.state_delta === null || !changesConfiguration(entry.entry_type)) return undefined;
  const items = Object.values(entry.state_delta).flat();
  const [only] = entry.state_delta.kernel;
  if (items.length !== 1 || only?.key !== BLACKLIST_KEY) return undefined;
  const text = only.action === 'Remove' ? '' : (only.value ?? '');
  return text
    .split(',')
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== '');
}

/** A ConfigUpdate with its gRPC prefix, in one piece. */
export function updateFrame(entry: ConfigEntry, view: JournalView): Buffer {
  const kind = updateKind(entry);
  const payload = Buffer.from(JSON.stringify(payloadOf(entry, kind, view)));
  const ms = Date.parse(entry.timestamp);
  const seconds = Math.floor(ms / 1_000);
  const nanos = (ms - seconds * 1_000) * 1_000_000;
  const timestampSize = uintFieldSize(seconds) + uintFieldSize(nanos);
  // The oneof is written even when empty: its presence says which kind it is.
  const messageSize =
    uintFieldSize(entry.sequence) +
    messageFieldSize(timestampSize) +
    Math.max(2, bytesFieldSize(payload.length));

  const frame = Buffer.alloc(FRAME_PREFIX_BYTES + messageSize);
  const writer = new FieldWriter(frame);
  writer.framePrefix(messageSize);
  writer.uint(FIELD.sequence, entry.sequence);
  writer.open(FIELD.timestamp, timestampSize);
  writer.uint(TIMESTAMP.seconds, seconds);
  writer.uint(TIMESTAMP.nanos, nanos);
  writer.open(FIELD[kind], payload.length);
  frame.set(payload, writer.offset);
  return frame;
}

/** Encodings of recent updates, each made once for all subscribers. Bounded in bytes; the oldest go first. */
export class UpdateFrames {
  readonly #frames = new Map<number, Buffer>();
  readonly #sizeBytesMax: number;
  #sizeBytes = 0;

  constructor(sizeBytesMax = 16 * 1024 * 1024) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  of(entry: ConfigEntry, view: JournalView): Buffer {
    const known = this.#frames.get(entry.sequence);
    if (known !== undefined) return known;
    const frame = updateFrame(entry, view);
    this.#frames.set(entry.sequence, frame);
    this.#sizeBytes += frame.length;
    for (const [sequence, oldest] of this.#frames) {
      if (this.#sizeBytes <= this.#sizeBytesMax) break;
      this.#frames.delete(sequence);
      this.#sizeBytes -= oldest.length;
    }
    return frame;
  }
}
