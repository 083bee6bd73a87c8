import type { ClientReadableStream } from '@grpc/grpc-js';
import type { stream } from '@pact-journal/journal-proto';
import { BootStreamError } from '../errors.ts';

/** An overlay as it came over the wire, verified. */
export interface ReceivedOverlay {
  readonly vcluster_id: string;
  readonly version: number;
  /** zstd data. */
  readonly data: Uint8Array;
  readonly checksum: string;
}

export interface ReceivedBoot {
  /** Undefined: the overlay that the client has is current. */
  readonly overlay: ReceivedOverlay | undefined;
  readonly nodeDelta: stream.NodeDelta;
  readonly complete: stream.ConfigComplete;
  /** Milliseconds (of performance.now) at which the first message and the overlay were there. */
  readonly firstMessageMs: number;
  readonly overlayMs: number;
}

/** Collects a boot's messages, holding them to their order and to a bound in bytes. */
export class BootReceiver {
  readonly #dataSizeBytesMax: number;
  readonly #pieces: Uint8Array[] = [];
  #first: stream.OverlayChunk | undefined;
  #overlaySizeBytes = 0;
  #nodeDelta: stream.NodeDelta | undefined;
  #complete: stream.ConfigComplete | undefined;
  #firstMessageMs: number | undefined;
  #overlayMs = 0;

  constructor(dataSizeBytesMax: number) {
    this.#dataSizeBytesMax = dataSizeBytesMax;
  }

  /** Throws `corrupt` or `tooLarge`. */
  take({ chunk }: stream.ConfigChunk): void {
    this.#firstMessageMs ??= performance.now();
    if (this.#complete !== undefined) throw outOfOrder('a message after the end');
    switch (chunk?.$case) {
      case 'baseOverlay':
        return this.#takeOverlay(chunk.value);
      case 'nodeDelta':
        if (this.#nodeDelta !== undefined) throw outOfOrder('a second node delta');
        this.#checkSize(chunk.value.data.byteLength);
        this.#nodeDelta = chunk.value;
        this.#overlayMs = performance.now();
        return;
      case 'complete':
        this.#complete = chunk.value;
        return;
      case undefined:
        throw outOfOrder('an empty message');
    }
  }

  finish(): ReceivedBoot {
    const first = this.#first;
    if (this.#nodeDelta === undefined || this.#complete === undefined)
      throw outOfOrder('an end before everything was there');
    if (first !== undefined && this.#pieces.length !== first.totalChunks) {
      throw outOfOrder(`${this.#pieces.length} of ${first.totalChunks} pieces of the overlay`);
    }
    const overlay =
      first === undefined
        ? undefined
        : {
            vcluster_id: first.vclusterId,
            version: first.version,
            data: this.#pieces.length === 1 ? first.data : Buffer.concat(this.#pieces),
            checksum: first.checksum,
          };
    return {
      overlay,
      nodeDelta: this.#nodeDelta,
      complete: this.#complete,
      firstMessageMs: this.#firstMessageMs ?? 0,
      overlayMs: this.#overlayMs,
    };
  }

  #takeOverlay(chunk: stream.OverlayChunk): void {
    if (this.#nodeDelta !== undefined) throw outOfOrder('a piece of the overlay after the node delta');
    this.#first ??= chunk;
    const { version, vclusterId, checksum, totalChunks } = this.#first;
    const isNext =
      chunk.chunkIndex === this.#pieces.length &&
      chunk.version === version &&
      chunk.vclusterId === vclusterId &&
      chunk.checksum === checksum &&
      chunk.totalChunks === totalChunks;
    if (!isNext)
      throw outOfOrder(`piece ${chunk.chunkIndex} of the overlay, version ${chunk.version}, out of turn`);
    this.#overlaySizeBytes += chunk.data.byteLength;
    this.#checkSize(this.#overlaySizeBytes);
    this.#pieces.push(chunk.data);
  }

  #checkSize(sizeBytes: number): void {
    if (sizeBytes <= this.#dataSizeBytesMax) return;
    throw new BootStreamError(
      'tooLarge',
      `the boot sends more than ${this.#dataSizeBytesMax} bytes of one kind`,
    );
  }
}

function outOfOrder(what: string): BootStreamError {
  return new BootStreamError('corrupt', `the boot stream has ${what}`);
}

/** Reads a boot's call to its end. Cancels the call when it sends what it must not. */
export function receiveBoot(
  call: ClientReadableStream<stream.ConfigChunk>,
  dataSizeBytesMax: number,
): Promise<ReceivedBoot> {
  return new Promise((resolve, reject) => {
    const receiver = new BootReceiver(dataSizeBytesMax);
    const fail = (error: unknown): void => reject(error instanceof Error ? error : new Error(String(error)));
    call.on('data', (chunk: stream.ConfigChunk) => {
      try {
        receiver.take(chunk);
      } catch (error) {
        fail(error);
        call.cancel();
      }
    });
    call.on('error', reject);
    call.on('end', () => {
      try {
        resolve(receiver.finish());
      } catch (error) {
        fail(error);
      }
    });
  });
}
