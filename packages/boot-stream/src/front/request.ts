import type { ServerHttp2Stream } from 'node:http2';
import { BootStreamError } from '../errors.ts';
import { REQUEST_SIZE_BYTES_MAX } from '../limits.ts';
import { FRAME_PREFIX_BYTES } from '../wire/protobuf.ts';
import type { SessionMemory } from './session-memory.ts';

export interface RequestLimits {
  /** Larger ones are refused. */
  readonly sizeBytesMax?: number;
  /** Where what was received counts until the call is over; undefined where it is too little to count. */
  readonly memory?: SessionMemory;
}

/**
 * Reads the one message of a call whose request is not a stream. `onMessage` gets it once the client has half-closed;
 * `onError` what is wrong with it. Neither is called when the stream closes before.
 */
export function readRequest(
  stream: ServerHttp2Stream,
  onMessage: (message: Buffer) => void,
  onError: (error: unknown) => void,
  { sizeBytesMax = REQUEST_SIZE_BYTES_MAX, memory }: RequestLimits = {},
): void {
  let pieces: Buffer[] = [];
  let sizeBytes = 0;
  const onData = (piece: Buffer): void => {
    pieces.push(piece);
    sizeBytes += piece.length;
    if (sizeBytes > FRAME_PREFIX_BYTES + sizeBytesMax) fail(tooLarge(sizeBytesMax));
    else if (memory?.take(stream, piece.length) === false) fail(noRoom());
  };
  const onEnd = (): void => {
    stop();
    if (stream.closed) return; // its client has given up on it: that ends it too
    try {
      const [first = Buffer.alloc(0)] = pieces;
      onMessage(onlyMessage(pieces.length > 1 ? Buffer.concat(pieces, sizeBytes) : first, sizeBytesMax));
    } catch (error) {
      onError(error);
    }
  };
  // A subscription lives long: nothing of its request is kept with it.
  const stop = (): void => {
    stream.removeListener('data', onData);
    stream.removeListener('end', onEnd);
  };
  const fail = (error: unknown): void => {
    stop();
    pieces = [];
    memory?.release(stream);
    stream.resume(); // what is left of the request must not keep the stream
    onError(error);
  };
  stream.on('data', onData);
  stream.on('end', onEnd);
}

function onlyMessage(received: Buffer, sizeBytesMax: number): Buffer {
  if (received.length === 0) {
    throw new BootStreamError('unsupported', 'the call has no request message: send exactly one');
  }
  if (received.length < FRAME_PREFIX_BYTES)
    throw new BootStreamError('internal', 'the request message is cut off');
  if (received[0] !== 0) {
    throw new BootStreamError('unsupported', 'the request is compressed: this method takes identity only');
  }
  const end = FRAME_PREFIX_BYTES + received.readUInt32BE(1);
  if (end > FRAME_PREFIX_BYTES + sizeBytesMax) throw tooLarge(sizeBytesMax);
  if (received.length < end) throw new BootStreamError('internal', 'the request message is cut off');
  if (received.length > end) {
    throw new BootStreamError('unsupported', 'the call has more than one request message: send exactly one');
  }
  return received.subarray(FRAME_PREFIX_BYTES, end);
}

/** For what a connection wants to have waiting for it beyond its memory. */
export function noRoom(): BootStreamError {
  return new BootStreamError(
    'overloaded',
    'this connection has too much waiting for it: read its answers and finish its requests first',
  );
}

export function tooLarge(sizeBytesMax: number): BootStreamError {
  return new BootStreamError('tooLarge', `the request message has more than ${sizeBytesMax} bytes`);
}
