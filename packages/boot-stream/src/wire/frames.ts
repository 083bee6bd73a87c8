import { createHash } from 'node:crypto';
import stableStringify from 'fast-json-stable-stringify';
import { DELTA_KINDS } from '@pact-journal/journal-state';
import type { NodeDelta, StateDelta } from '@pact-journal/journal-state';
import type { Overlay } from '@pact-journal/overlay-builder';
import { CHUNK_SIZE_BYTES_MAX } from '../limits.ts';
import {
  bytesFieldSize,
  FieldWriter,
  FRAME_PREFIX_BYTES,
  messageFieldSize,
  uintFieldSize,
} from './protobuf.ts';

/** One gRPC message with its prefix, in pieces to be sent one after another. */
export type Frame = readonly Uint8Array[];

/** Field numbers of pact.stream (proto/pact/stream.proto). */
const CHUNK = { baseOverlay: 1, nodeDelta: 2, complete: 3 } as const;
const OVERLAY = { version: 1, vclusterId: 2, data: 3, chunkIndex: 4, totalChunks: 5, checksum: 6 } as const;
const DELTA = { nodeId: 1, version: 2, data: 3, checksum: 4 } as const;
const COMPLETE = { baseVersion: 1, nodeVersion: 2, timestamp: 3 } as const;
const TIMESTAMP = { seconds: 1, nanos: 2 } as const;

const overlayFramesByData = new WeakMap<
  Uint8Array,
  { readonly overlay: Overlay; readonly frames: readonly Frame[] }
>();

/**
 * Phase 1: the overlay's messages, made once a version and shared by all streams. A message is a short header and a
 * view of the overlay's own bytes (protobuf fields may come in any order, so the data is last), so nothing is copied.
 */
export function overlayFrames(overlay: Overlay): readonly Frame[] {
  const known = overlayFramesByData.get(overlay.data);
  if (
    known !== undefined &&
    known.overlay.version === overlay.version &&
    known.overlay.vcluster_id === overlay.vcluster_id
  ) {
    return known.frames;
  }
  const totalChunks = Math.max(1, Math.ceil(overlay.data.byteLength / CHUNK_SIZE_BYTES_MAX));
  const frames = Array.from({ length: totalChunks }, (_, index) => overlayFrame(overlay, index, totalChunks));
  overlayFramesByData.set(overlay.data, { overlay, frames });
  return frames;
}

function overlayFrame(overlay: Overlay, chunkIndex: number, totalChunks: number): Frame {
  const start = chunkIndex * CHUNK_SIZE_BYTES_MAX;
  const data = overlay.data.subarray(start, start + CHUNK_SIZE_BYTES_MAX);
  const idSize = Buffer.byteLength(overlay.vcluster_id);
  const checksumSize = Buffer.byteLength(overlay.checksum);
  const beforeData =
    uintFieldSize(overlay.version) +
    bytesFieldSize(idSize) +
    uintFieldSize(chunkIndex) +
    uintFieldSize(totalChunks) +
    bytesFieldSize(checksumSize);
  const chunkSize = beforeData + bytesFieldSize(data.byteLength);
  const messageSize = messageFieldSize(chunkSize);

  const header = Buffer.alloc(FRAME_PREFIX_BYTES + messageSize - data.byteLength);
  const writer = new FieldWriter(header);
  writer.framePrefix(messageSize);
  writer.open(CHUNK.baseOverlay, chunkSize);
  writer.uint(OVERLAY.version, overlay.version);
  writer.string(OVERLAY.vclusterId, overlay.vcluster_id, idSize);
  writer.uint(OVERLAY.chunkIndex, chunkIndex);
  writer.uint(OVERLAY.totalChunks, totalChunks);
  writer.string(OVERLAY.checksum, overlay.checksum, checksumSize);
  if (data.byteLength > 0) writer.open(OVERLAY.data, data.byteLength);
  return data.byteLength > 0 ? [header, data] : [header];
}

const NO_DELTA = Object.fromEntries(DELTA_KINDS.map((kind) => [kind, []])) as unknown as StateDelta;
const NO_DELTA_DATA = encodeDelta(NO_DELTA);

/** Phase 2 in one piece: the node's delta, then the end. `baseVersion`: of the overlay that the node now has. */
export function closingFrames(nodeDelta: NodeDelta, baseVersion: number, nowMs: number): Buffer {
  const { data, checksum } = isEmpty(nodeDelta.delta) ? NO_DELTA_DATA : encodeDelta(nodeDelta.delta);
  const nodeVersion = Math.max(0, nodeDelta.version);
  const idSize = Buffer.byteLength(nodeDelta.node_id);
  const deltaSize =
    bytesFieldSize(idSize) +
    uintFieldSize(nodeVersion) +
    bytesFieldSize(data.byteLength) +
    bytesFieldSize(checksum.length);
  const deltaMessageSize = messageFieldSize(deltaSize);

  const seconds = Math.floor(nowMs / 1_000);
  const nanos = Math.floor(nowMs - seconds * 1_000) * 1_000_000;
  const timestampSize = uintFieldSize(seconds) + uintFieldSize(nanos);
  const completeSize =
    uintFieldSize(baseVersion) + uintFieldSize(nodeVersion) + messageFieldSize(timestampSize);
  const completeMessageSize = messageFieldSize(completeSize);

  const frames = Buffer.allocUnsafe(2 * FRAME_PREFIX_BYTES + deltaMessageSize + completeMessageSize);
  const writer = new FieldWriter(frames);
  writer.framePrefix(deltaMessageSize);
  writer.open(CHUNK.nodeDelta, deltaSize);
  writer.string(DELTA.nodeId, nodeDelta.node_id, idSize);
  writer.uint(DELTA.version, nodeVersion);
  writer.bytes(DELTA.data, data);
  writer.string(DELTA.checksum, checksum, checksum.length);

  writer.framePrefix(completeMessageSize);
  writer.open(CHUNK.complete, completeSize);
  writer.uint(COMPLETE.baseVersion, baseVersion);
  writer.uint(COMPLETE.nodeVersion, nodeVersion);
  writer.open(COMPLETE.timestamp, timestampSize);
  writer.uint(TIMESTAMP.seconds, seconds);
  writer.uint(TIMESTAMP.nanos, nanos);
  return frames;
}

function isEmpty(delta: StateDelta): boolean {
  return DELTA_KINDS.every((kind) => delta[kind].length === 0);
}

function encodeDelta(delta: StateDelta): { readonly data: Buffer; readonly checksum: string } {
  const data = Buffer.from(stableStringify(delta));
  return { data, checksum: `sha256:${createHash('sha256').update(data).digest('hex')}` };
}

/** A message with its prefix, in one piece. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_PREFIX_BYTES + message.byteLength);
  new FieldWriter(frame).framePrefix(message.byteLength);
  frame.set(message, FRAME_PREFIX_BYTES);
  return frame;
}

/** The messages of some frames without their prefixes, each in one piece, for a server that frames by itself. */
export function messagesOf(frames: Uint8Array): Buffer[] {
  const messages: Buffer[] = [];
  const buffer = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength);
  for (let offset = 0; offset < buffer.length;) {
    const end = offset + FRAME_PREFIX_BYTES + buffer.readUInt32BE(offset + 1);
    messages.push(buffer.subarray(offset + FRAME_PREFIX_BYTES, end));
    offset = end;
  }
  return messages;
}
