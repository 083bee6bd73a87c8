/** Checks what a boot received: every byte of every payload, at the cost of a comparison where it was seen before. */
import { createHash } from 'node:crypto';
import { stream } from '@pact-journal/journal-proto';

/** The payload was not what it must be. */
export class CorruptPayload extends Error {
  override readonly name = 'CorruptPayload';
}

export interface VerifiedBoot {
  readonly baseVersion: number;
  readonly nodeVersion: number;
  /** Overlay and delta bytes. */
  readonly sizeBytes: number;
}

/** Bytes before each gRPC message: a compression flag and a length. */
const PREFIX_BYTES = 5;

/** An overlay that was verified, with the very bytes of the messages that it came in. */
interface KnownOverlay {
  readonly bytes: Buffer;
  readonly version: number;
  readonly sizeBytes: number;
}

export class PayloadVerifier {
  readonly #vclusterId: string;
  readonly #decode: (data: Uint8Array) => unknown;
  #known: KnownOverlay | undefined;

  /** `decode` turns a compressed overlay into its JSON and throws where that fails. */
  constructor(vclusterId: string, decode: (data: Uint8Array) => unknown) {
    this.#vclusterId = vclusterId;
    this.#decode = decode;
  }

  /** Takes a response's body as it comes. */
  collect(): BodyCollector {
    return new BodyCollector(() => this.#known);
  }

  /**
   * Verifies a whole response body: overlay chunks, node delta, completion, in this order and nothing else. Bytes that
   * equal those of a verified overlay are verified; others are hashed and decoded.
   */
  verify(body: BodyCollector, nodeId: string): VerifiedBoot {
    const { known, rest } = body.finish();
    const overlay = known ?? this.#knownAtStartOf(rest) ?? this.#takeOverlay(rest);
    const closing = known === undefined ? rest.subarray(overlay.bytes.length) : rest;
    const { delta, complete } = parseClosing(closing);
    if (complete.baseVersion !== overlay.version) {
      throw new CorruptPayload(
        `the overlay is of version ${String(overlay.version)}, completed was ${String(complete.baseVersion)}`,
      );
    }
    if (delta.nodeId !== nodeId)
      throw new CorruptPayload(`the delta is that of ${delta.nodeId}, not of ${nodeId}`);
    if (delta.data.length > 0) {
      verifyChecksum('node delta', delta.data, delta.checksum);
      JSON.parse(
        Buffer.from(delta.data.buffer, delta.data.byteOffset, delta.data.byteLength).toString('utf8'),
      );
    }
    this.#known = overlay;
    return {
      baseVersion: complete.baseVersion,
      nodeVersion: complete.nodeVersion,
      sizeBytes: overlay.sizeBytes + delta.data.length,
    };
  }

  /** For boots that began before any overlay was known. */
  #knownAtStartOf(body: Buffer): KnownOverlay | undefined {
    const known = this.#known;
    if (known === undefined || body.length < known.bytes.length) return undefined;
    return body.compare(known.bytes, 0, known.bytes.length, 0, known.bytes.length) === 0 ? known : undefined;
  }

  #takeOverlay(body: Buffer): KnownOverlay {
    const chunks: stream.OverlayChunk[] = [];
    let end = 0;
    for (const message of messagesOf(body)) {
      const { chunk } = stream.ConfigChunk.decode(message.bytes);
      if (chunk?.$case !== 'baseOverlay') break;
      chunks.push(chunk.value);
      end = message.end;
    }
    const [first] = chunks;
    if (first === undefined) throw new CorruptPayload('no overlay came, and none was known');
    if (chunks.length !== first.totalChunks) {
      throw new CorruptPayload(
        `${String(chunks.length)} overlay chunks came of ${String(first.totalChunks)}`,
      );
    }
    chunks.forEach((chunk, at) => {
      const belongs =
        chunk.chunkIndex === at &&
        chunk.totalChunks === first.totalChunks &&
        chunk.version === first.version &&
        chunk.checksum === first.checksum &&
        chunk.vclusterId === this.#vclusterId;
      if (!belongs) {
        throw new CorruptPayload(`overlay chunk ${String(at)} belongs to another overlay or place`);
      }
    });
    const data = chunks.length === 1 ? first.data : Buffer.concat(chunks.map((chunk) => chunk.data));
    verifyChecksum('overlay', data, first.checksum);
    try {
      this.#decode(data);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CorruptPayload(`the overlay cannot be decoded: ${reason}`);
    }
    return { bytes: Buffer.from(body.subarray(0, end)), version: first.version, sizeBytes: data.length };
  }
}

/** Collects a body. As long as it equals the known overlay's bytes nothing is kept of it. */
export class BodyCollector {
  readonly #newestKnown: () => KnownOverlay | undefined;
  #known: KnownOverlay | undefined;
  readonly #rest: Buffer[] = [];
  /** How much of the known overlay's bytes has come. */
  #matched = 0;
  #matching = false;
  #sizeBytes = 0;

  /** `newestKnown` is asked when the first bytes come: by then an overlay may be known that was not before. */
  constructor(newestKnown: () => KnownOverlay | undefined) {
    this.#newestKnown = newestKnown;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  take(chunk: Buffer): void {
    if (this.#sizeBytes === 0) {
      this.#known = this.#newestKnown();
      this.#matching = this.#known !== undefined;
    }
    this.#sizeBytes += chunk.length;
    const known = this.#known?.bytes;
    if (!this.#matching || known === undefined) {
      this.#rest.push(chunk);
      return;
    }
    const length = Math.min(chunk.length, known.length - this.#matched);
    if (chunk.compare(known, this.#matched, this.#matched + length, 0, length) === 0) {
      this.#matched += length;
      if (length < chunk.length) this.#rest.push(chunk.subarray(length));
    } else {
      this.#matching = false;
      this.#rest.push(known.subarray(0, this.#matched), chunk);
    }
  }

  /** The known overlay, if that is what came, and what came besides. */
  finish(): { readonly known: KnownOverlay | undefined; readonly rest: Buffer } {
    const known = this.#known;
    if (known === undefined || !this.#matching) return { known: undefined, rest: this.#restBytes() };
    if (this.#matched === known.bytes.length) return { known, rest: this.#restBytes() };
    return { known: undefined, rest: known.bytes.subarray(0, this.#matched) };
  }

  #restBytes(): Buffer {
    return this.#rest.length === 1 ? (this.#rest[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#rest);
  }
}

function parseClosing(body: Buffer): {
  readonly delta: stream.NodeDelta;
  readonly complete: stream.ConfigComplete;
} {
  let delta: stream.NodeDelta | undefined;
  let complete: stream.ConfigComplete | undefined;
  for (const { bytes } of messagesOf(body)) {
    const { chunk } = stream.ConfigChunk.decode(bytes);
    if (complete !== undefined) throw new CorruptPayload('a message follows the completion');
    if (chunk?.$case === 'nodeDelta' && delta === undefined) delta = chunk.value;
    else if (chunk?.$case === 'complete' && delta !== undefined) complete = chunk.value;
    else throw new CorruptPayload(`a ${chunk?.$case ?? 'message of no kind'} is out of order`);
  }
  if (delta === undefined || complete === undefined)
    throw new CorruptPayload('the stream ended without a completion');
  return { delta, complete };
}

function verifyChecksum(what: string, data: Uint8Array, checksum: string): void {
  const actual = `sha256:${createHash('sha256').update(data).digest('hex')}`;
  if (actual !== checksum)
    throw new CorruptPayload(`the ${what} has checksum ${actual}, announced was ${checksum}`);
}

function* messagesOf(body: Buffer): Generator<{ readonly bytes: Buffer; readonly end: number }> {
  for (let at = 0; at < body.length;) {
    if (body.length < at + PREFIX_BYTES || body[at] !== 0) {
      throw new CorruptPayload('a message is compressed or cut off');
    }
    const end = at + PREFIX_BYTES + body.readUInt32BE(at + 1);
    if (body.length < end) throw new CorruptPayload('a message is cut off');
    yield { bytes: body.subarray(at + PREFIX_BYTES, end), end };
    at = end;
  }
}
