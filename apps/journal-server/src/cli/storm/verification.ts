/** Checks what a boot received: every payload's checksum, and once a version that it can be decoded. */
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

export class PayloadVerifier {
  readonly #decode: (data: Uint8Array) => unknown;
  /** Checksums of overlays that were decoded: equal bytes need no second look. */
  readonly #decoded = new Set<string>();

  /** `decode` turns a compressed overlay into its JSON and throws where that fails. */
  constructor(decode: (data: Uint8Array) => unknown) {
    this.#decode = decode;
  }

  /** Verifies a whole response body: overlay chunks, node delta, completion, in this order and nothing else. */
  verify(body: Buffer, nodeId: string): VerifiedBoot {
    const chunks: stream.OverlayChunk[] = [];
    let delta: stream.NodeDelta | undefined;
    let complete: stream.ConfigComplete | undefined;
    for (const message of messagesOf(body)) {
      const { chunk } = stream.ConfigChunk.decode(message);
      if (complete !== undefined) throw new CorruptPayload('a message follows the completion');
      if (chunk?.$case === 'baseOverlay' && delta === undefined) chunks.push(chunk.value);
      else if (chunk?.$case === 'nodeDelta' && delta === undefined) delta = chunk.value;
      else if (chunk?.$case === 'complete' && delta !== undefined) complete = chunk.value;
      else throw new CorruptPayload(`a ${chunk?.$case ?? 'message of no kind'} is out of order`);
    }
    if (delta === undefined || complete === undefined)
      throw new CorruptPayload('the stream ended without a completion');
    if (delta.nodeId !== nodeId)
      throw new CorruptPayload(`the delta is that of ${delta.nodeId}, not of ${nodeId}`);
    if (delta.data.length > 0) {
      verifyChecksum('node delta', delta.data, delta.checksum);
      JSON.parse(
        Buffer.from(delta.data.buffer, delta.data.byteOffset, delta.data.byteLength).toString('utf8'),
      );
    }
    const overlayBytes = this.#verifyOverlay(chunks, complete.baseVersion);
    return {
      baseVersion: complete.baseVersion,
      nodeVersion: complete.nodeVersion,
      sizeBytes: overlayBytes + delta.data.length,
    };
  }

  #verifyOverlay(chunks: readonly stream.OverlayChunk[], baseVersion: number): number {
    const [first] = chunks;
    if (first === undefined) throw new CorruptPayload('no overlay came, and none was known');
    if (chunks.length !== first.totalChunks) {
      throw new CorruptPayload(
        `${String(chunks.length)} overlay chunks came of ${String(first.totalChunks)}`,
      );
    }
    chunks.forEach((chunk, at) => {
      if (chunk.chunkIndex !== at || chunk.version !== baseVersion || chunk.checksum !== first.checksum) {
        throw new CorruptPayload(`overlay chunk ${String(at)} belongs to another overlay or place`);
      }
    });
    const data = chunks.length === 1 ? first.data : Buffer.concat(chunks.map((chunk) => chunk.data));
    verifyChecksum('overlay', data, first.checksum);
    if (!this.#decoded.has(first.checksum)) {
      try {
        this.#decode(data);
      } catch (error) {
        throw new CorruptPayload(
          `the overlay cannot be decoded: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      this.#decoded.add(first.checksum);
    }
    return data.length;
  }
}

function verifyChecksum(what: string, data: Uint8Array, checksum: string): void {
  const actual = `sha256:${createHash('sha256').update(data).digest('hex')}`;
  if (actual !== checksum)
    throw new CorruptPayload(`the ${what} has checksum ${actual}, announced was ${checksum}`);
}

function* messagesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length;) {
    if (body.length < at + PREFIX_BYTES || body[at] !== 0)
      throw new CorruptPayload('a message is compressed or cut off');
    const end = at + PREFIX_BYTES + body.readUInt32BE(at + 1);
    if (body.length < end) throw new CorruptPayload('a message is cut off');
    yield body.subarray(at + PREFIX_BYTES, end);
    at = end;
  }
}
