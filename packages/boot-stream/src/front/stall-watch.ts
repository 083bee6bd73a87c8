import { constants } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { Rounds } from './rounds.ts';

interface Reader {
  readonly session: ServerHttp2Session;
  readonly streams: Set<ServerHttp2Stream>;
  /** What it had been sent, and when (of performance.now), when it last was fast enough. */
  sentBytes: number;
  sinceMs: number;
}

/** What a client must take of each answer that waits for it, in the time that it has for that, in bytes. */
const TAKEN_BYTES_MIN = 16 * 1024;
const PER_LOOK_MAX = 1_024;
/** How late it may be noticed: a part of the time that a client has. */
const LATENESS = 1 / 8;

/**
 * Ends connections whose client does not read what it has asked for: their answers would keep memory and places that
 * others wait for. By connection, because node:http2 does not tell how much of a stream was taken.
 */
export class StallWatch {
  readonly #timeoutMs: number;
  readonly #onStall: (session: ServerHttp2Session) => void;
  readonly #readers = new Map<ServerHttp2Session, Reader>();
  readonly #rounds: Rounds<Reader>;

  /** `timeoutMs`: how long a client has. `onStall` is told of a session right before it is destroyed. */
  constructor(timeoutMs: number, onStall: (session: ServerHttp2Session) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onStall = onStall;
    const look = { perLookMax: PER_LOOK_MAX, intervalMs: Math.min(1_000, timeoutMs * LATENESS) };
    this.#rounds = new Rounds((reader) => this.#compare(reader), look);
  }

  opened(session: ServerHttp2Session, stream: ServerHttp2Stream): void {
    let reader = this.#readers.get(session);
    if (reader === undefined) {
      reader = { session, streams: new Set(), sentBytes: 0, sinceMs: performance.now() };
      this.#readers.set(session, reader);
      this.#rounds.add(reader);
    }
    reader.streams.add(stream);
  }

  closed(session: ServerHttp2Session, stream: ServerHttp2Stream): void {
    this.#readers.get(session)?.streams.delete(stream);
  }

  delete(session: ServerHttp2Session): void {
    const reader = this.#readers.get(session);
    if (reader === undefined) return;
    this.#readers.delete(session);
    this.#rounds.delete(reader);
  }

  #compare(reader: Reader): void {
    const { session, streams } = reader;
    if (session.destroyed) return;
    let waiting = 0;
    for (const stream of streams) if (!stream.destroyed && stream.bufferSize > 0) waiting += 1;
    const sentBytes = session.socket.bytesWritten;
    const nowMs = performance.now();
    if (waiting === 0 || sentBytes - reader.sentBytes >= waiting * TAKEN_BYTES_MIN) {
      reader.sentBytes = sentBytes;
      reader.sinceMs = nowMs;
    } else if (nowMs - reader.sinceMs >= this.#timeoutMs) {
      this.#onStall(session);
      session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
  }
}
