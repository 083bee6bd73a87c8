import { RaftCoreError } from '../errors.ts';
import { toNodeId } from '../ids.ts';
import { NO_BYTES } from '../message.ts';
import type { ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, NodeId } from '../types.ts';

/*
 * The bytes of a membership change in an entry:
 *
 *   byte     format version (1)
 *   byte     transition: 0 auto, 1 joint implicit, 2 joint explicit
 *   varint   number of changes, then for each: byte type (0 add, 1 remove, 2 update, 3 add learner), varint node id
 *   rest     context
 *
 * Varints are little-endian base 128 and shortest, so that each change has exactly one encoding. No bytes at all stand
 * for the change that leaves a joint configuration, without context: the leader proposes it by itself, and an entry
 * without data is never refused for its size.
 */

const VERSION = 1;
const TRANSITIONS: readonly ConfChangeTransition[] = ['auto', 'jointImplicit', 'jointExplicit'];
const TYPES: readonly ConfChangeType[] = ['addNode', 'removeNode', 'updateNode', 'addLearnerNode'];
/** More than any group has members; a bound for what is read from the wire. */
const MAX_CHANGES = 10_000;

/** The change that leaves a joint configuration, as the leader proposes it by itself. */
export const LEAVE_JOINT: ConfChange = { transition: 'auto', changes: [], context: NO_BYTES };

/** Encodes a membership change. The same change always gives the same bytes. */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const bytes: number[] = [VERSION, TRANSITIONS.indexOf(change.transition)];
  pushVarint(bytes, change.changes.length);
  for (const { type, nodeId } of change.changes) {
    bytes.push(TYPES.indexOf(type));
    pushVarint(bytes, nodeId);
  }
  const encoded = new Uint8Array(bytes.length + change.context.length);
  encoded.set(bytes);
  encoded.set(change.context, bytes.length);
  return encoded;
}

/** Decodes a membership change. Throws `RaftCoreError` `malformedConfChange` for anything that `encodeConfChange` never makes. */
export function decodeConfChange(bytes: Uint8Array): ConfChange {
  if (bytes.length === 0) return LEAVE_JOINT;
  const reader = new Reader(bytes);
  const version = reader.byte('format version');
  if (version !== VERSION) throw malformed(`format version ${version} instead of ${VERSION}`);
  const transition = TRANSITIONS[reader.byte('transition')];
  if (transition === undefined) throw malformed('unknown transition');
  const count = reader.varint('number of changes');
  if (count > MAX_CHANGES) throw malformed(`${count} changes, more than ${MAX_CHANGES}`);
  const changes: ConfChangeSingle[] = [];
  for (let i = 0; i < count; i += 1) {
    const type = TYPES[reader.byte('change type')];
    if (type === undefined) throw malformed('unknown change type');
    const nodeId: NodeId = toNodeId(reader.varint('node id'));
    changes.push({ type, nodeId });
  }
  return { transition, changes, context: reader.rest() };
}

class Reader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(what: string): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) throw malformed(`it ends where the ${what} should be`);
    this.#offset += 1;
    return value;
  }

  varint(what: string): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte(what);
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw malformed(`the ${what} is beyond 2^53`);
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw malformed(`the ${what} is not encoded in its shortest form`);
        return value;
      }
      scale *= 0x80;
    }
  }

  rest(): Uint8Array {
    return this.#offset === this.#bytes.length ? NO_BYTES : this.#bytes.slice(this.#offset);
  }
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

function malformed(problem: string): RaftCoreError {
  return new RaftCoreError('malformedConfChange', `cannot decode a membership change: ${problem}`);
}
