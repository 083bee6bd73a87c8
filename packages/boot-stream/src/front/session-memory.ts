import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

/**
 * Counts what a connection has waiting for itself: requests that are not whole yet, and answers that were not sent yet.
 * What boots send does not count: it is shared.
 */
export class SessionMemory {
  readonly #bytesMax: number;
  readonly #sessions = new WeakMap<ServerHttp2Session, { bytes: number }>();
  readonly #streams = new WeakMap<ServerHttp2Stream, { bytes: number }>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Counts them until {@link release} or the end of the stream; fewer than none gives some of them back. False: there is no
   * room, nothing is counted.
   */
  take(stream: ServerHttp2Stream, bytes: number): boolean {
    const session = stream.session as ServerHttp2Session | undefined;
    if (session === undefined) return true; // nothing that is sent on it is kept
    const all = this.#sessions.get(session) ?? { bytes: 0 };
    if (all.bytes + bytes > this.#bytesMax) return false;
    this.#sessions.set(session, all);
    all.bytes += bytes;
    let own = this.#streams.get(stream);
    if (own === undefined) {
      const counted = (own = { bytes: 0 });
      this.#streams.set(stream, counted);
      stream.once('close', () => (all.bytes -= counted.bytes));
    }
    own.bytes += bytes;
    return true;
  }

  /** What was taken for the stream so far is not needed any more. */
  release(stream: ServerHttp2Stream): void {
    const own = this.#streams.get(stream);
    const session = stream.session as ServerHttp2Session | undefined;
    const all = session === undefined ? undefined : this.#sessions.get(session);
    if (own === undefined || all === undefined) return;
    all.bytes -= own.bytes;
    own.bytes = 0;
  }
}
