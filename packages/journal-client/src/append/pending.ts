import { journal } from '@pact-journal/journal-proto';
import type { Failure } from '../failures.ts';

/** What an append resolves to. `sequence` is undefined for operations. */
export interface Receipt {
  readonly sequence: number | undefined;
  readonly index: number;
  readonly term: number;
  readonly pendingApproval: boolean;
}

/** One append that has no final outcome yet. */
export interface PendingAppend {
  readonly correlationId: number;
  readonly doing: string;
  /** The AppendItem, encoded once: attempts differ in nothing. */
  readonly item: Uint8Array;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
  /** Removes the listener on the caller's signal. */
  readonly unlisten: () => void;
  /** It is with a server that has not answered. */
  inFlight: boolean;
  /** An earlier attempt may have done it. */
  uncertain: boolean;
  lastFailure: Failure | undefined;
}

/** The AppendItem on the wire. */
export function encodeItem(
  correlationId: number,
  requestId: string,
  command: journal.AppendItem['command'],
): Uint8Array {
  return journal.AppendItem.encode({ correlationId, requestId, command }).finish();
}

const ITEMS_TAG = (1 << 3) | 2;
/** A tag and the longest length that a message within limits has. */
const ITEM_OVERHEAD_BYTES = 6;

/** An AppendStreamRequest made of encoded items: each is copied once. */
export function encodeRequest(items: readonly Uint8Array[]): Buffer {
  const buffer = Buffer.allocUnsafe(items.reduce((sum, item) => sum + item.length + ITEM_OVERHEAD_BYTES, 0));
  let at = 0;
  for (const item of items) {
    buffer[at++] = ITEMS_TAG;
    let length = item.length;
    for (; length > 0x7f; length >>>= 7) buffer[at++] = (length & 0x7f) | 0x80;
    buffer[at++] = length;
    buffer.set(item, at);
    at += item.length;
  }
  return buffer.subarray(0, at);
}
