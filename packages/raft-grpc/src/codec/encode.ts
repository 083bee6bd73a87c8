/**
 * Encodes raft.v1.SendRequest by hand: sizes first, then one buffer, into which each entry's bytes are copied once.
 * The generated codec is the specification; a property test holds this one against it.
 */
import type { Entry, Message } from '@pact-journal/raft-core';
import { Snapshot as WireSnapshot } from '../gen/raft/v1/raft.ts';
import { snapshotToWire } from './snapshot.ts';
import { entryTypeNumber, messageTypeNumbers } from './types.ts';
import { FrameWriter, LENGTH_DELIMITED, VARINT, varintSize } from './wire.ts';

const REQUEST_MESSAGES = (2 << 3) | LENGTH_DELIMITED;

const ENTRY_TERM = (1 << 3) | VARINT;
const ENTRY_INDEX = (2 << 3) | VARINT;
const ENTRY_TYPE = (3 << 3) | VARINT;
const ENTRY_DATA = (4 << 3) | LENGTH_DELIMITED;

const TYPE = (1 << 3) | VARINT;
const TO = (2 << 3) | VARINT;
const FROM = (3 << 3) | VARINT;
const TERM = (4 << 3) | VARINT;
const LOG_TERM = (5 << 3) | VARINT;
const INDEX = (6 << 3) | VARINT;
const ENTRIES = (7 << 3) | LENGTH_DELIMITED;
const COMMIT = (8 << 3) | VARINT;
const VOTE = (9 << 3) | VARINT;
const SNAPSHOT = (10 << 3) | LENGTH_DELIMITED;
const REJECT = (11 << 3) | VARINT;
const REJECT_HINT = (12 << 3) | VARINT;
const CONTEXT = (13 << 3) | LENGTH_DELIMITED;

/** A message ready to be written. */
export interface SizedMessage {
  readonly message: Message;
  /** The snapshot reference, encoded; undefined where there is none. */
  readonly snapshot: Uint8Array | undefined;
  /** Bytes of the encoded message, without tag and length. */
  readonly sizeBytes: number;
}

/** All tags here are below 16, so that each takes one byte. */
function numberSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value);
}

function lengthDelimitedSize(length: number): number {
  return 1 + varintSize(length) + length;
}

function entrySize(entry: Entry): number {
  return (
    numberSize(entry.term) +
    numberSize(entry.index) +
    numberSize(entryTypeNumber(entry.type)) +
    (entry.data.length === 0 ? 0 : lengthDelimitedSize(entry.data.length))
  );
}

/** Computes what the message takes on the wire. */
export function sizeMessage(message: Message): SizedMessage {
  const snapshot =
    message.snapshot === undefined
      ? undefined
      : WireSnapshot.encode(snapshotToWire(message.snapshot)).finish();
  let sizeBytes =
    numberSize(messageTypeNumbers[message.type]) +
    numberSize(message.to) +
    numberSize(message.from) +
    numberSize(message.term) +
    numberSize(message.logTerm) +
    numberSize(message.index) +
    numberSize(message.commit) +
    numberSize(message.vote) +
    numberSize(message.rejectHint) +
    (message.reject ? 2 : 0) +
    (snapshot === undefined ? 0 : lengthDelimitedSize(snapshot.length)) +
    (message.context.length === 0 ? 0 : lengthDelimitedSize(message.context.length));
  for (const entry of message.entries) sizeBytes += lengthDelimitedSize(entrySize(entry));
  return { message, snapshot, sizeBytes };
}

function writeNumber(writer: FrameWriter, tag: number, value: number): void {
  if (value === 0) return;
  writer.varint(tag);
  writer.varint(value);
}

function writeBytes(writer: FrameWriter, tag: number, value: Uint8Array): void {
  writer.varint(tag);
  writer.varint(value.length);
  writer.bytes(value);
}

function writeEntry(writer: FrameWriter, entry: Entry): void {
  writer.varint(ENTRIES);
  writer.varint(entrySize(entry));
  writeNumber(writer, ENTRY_TERM, entry.term);
  writeNumber(writer, ENTRY_INDEX, entry.index);
  writeNumber(writer, ENTRY_TYPE, entryTypeNumber(entry.type));
  if (entry.data.length > 0) writeBytes(writer, ENTRY_DATA, entry.data);
}

function writeMessage(writer: FrameWriter, { message, snapshot }: SizedMessage): void {
  writeNumber(writer, TYPE, messageTypeNumbers[message.type]);
  writeNumber(writer, TO, message.to);
  writeNumber(writer, FROM, message.from);
  writeNumber(writer, TERM, message.term);
  writeNumber(writer, LOG_TERM, message.logTerm);
  writeNumber(writer, INDEX, message.index);
  for (const entry of message.entries) writeEntry(writer, entry);
  writeNumber(writer, COMMIT, message.commit);
  writeNumber(writer, VOTE, message.vote);
  if (snapshot !== undefined) writeBytes(writer, SNAPSHOT, snapshot);
  writeNumber(writer, REJECT, message.reject ? 1 : 0);
  writeNumber(writer, REJECT_HINT, message.rejectHint);
  if (message.context.length > 0) writeBytes(writer, CONTEXT, message.context);
}

/** One SendRequest with these messages, in memory from `allocate`. */
export function encodeFrame(
  messages: readonly SizedMessage[],
  allocate: (sizeBytes: number) => Buffer = (sizeBytes) => Buffer.allocUnsafe(sizeBytes),
): Buffer {
  let sizeBytes = 0;
  for (const message of messages) sizeBytes += lengthDelimitedSize(message.sizeBytes);
  const writer = new FrameWriter(allocate(sizeBytes));
  for (const message of messages) {
    writer.varint(REQUEST_MESSAGES);
    writer.varint(message.sizeBytes);
    writeMessage(writer, message);
  }
  if (writer.position !== sizeBytes) {
    throw new Error(`encoded ${writer.position} bytes where ${sizeBytes} were computed: a bug in raft-grpc`);
  }
  return writer.buffer;
}
