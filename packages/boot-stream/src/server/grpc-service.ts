import { Metadata } from '@grpc/grpc-js';
import type { ServerWritableStream, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { stream } from '@pact-journal/journal-proto';
import { MIN_SEQUENCE_KEY } from '../metadata.ts';
import { messagesOf } from '../wire/frames.ts';
import type { Frame } from '../wire/frames.ts';
import { FRAME_PREFIX_BYTES } from '../wire/protobuf.ts';
import type { BootServer } from './boot-server.ts';
import type { CallStatus, ServerCall } from './call.ts';
import { statusOf } from './status.ts';
import { parseMinSequence } from './validate.ts';

const asIs = (message: Buffer): Buffer => message;
const { streamBootConfig, subscribeConfigUpdates } = stream.BootConfigServiceDefinition;

/** BootConfigService as grpc-js knows it, with serializers that pass encoded messages through. */
export const bootServiceDefinition: ServiceDefinition = {
  streamBootConfig: { ...streamBootConfig, responseSerialize: asIs },
  subscribeConfigUpdates: { ...subscribeConfigUpdates, responseSerialize: asIs },
};

/**
 * Handlers for a grpc-js server: `server.addService(bootServiceDefinition, bootServiceHandlers(bootServer))`. For boot
 * storms use BootFront, which serves the same several times as fast.
 */
export function bootServiceHandlers(server: BootServer): UntypedServiceImplementation {
  return {
    streamBootConfig: (call: ServerWritableStream<stream.BootConfigRequest, Buffer>) => {
      const adapted = new GrpcJsCall(call);
      try {
        const minSequence = parseMinSequence(firstText(call.metadata, MIN_SEQUENCE_KEY));
        server.admitBoot();
        adapted.whenClosed.push(() => server.releaseBoot());
        server.boot(adapted, call.request, minSequence);
      } catch (error) {
        adapted.end(statusOf(error));
      }
    },
    subscribeConfigUpdates: (call: ServerWritableStream<stream.SubscribeRequest, Buffer>) => {
      server.subscribe(new GrpcJsCall(call), call.request);
    },
  };
}

function firstText(metadata: Metadata, key: string): string | undefined {
  return metadata.get(key)[0]?.toString();
}

/** Overlay messages in one piece, copied once a version. */
const wholeMessages = new WeakMap<Uint8Array, Buffer>();

class GrpcJsCall implements ServerCall {
  onDrain: (() => void) | undefined;
  onClose: (() => void) | undefined;
  /** Told of the end, after `onClose`. */
  readonly whenClosed: (() => void)[] = [];
  readonly #call: ServerWritableStream<unknown, Buffer>;
  #closed = false;
  #ended = false;

  constructor(call: ServerWritableStream<unknown, Buffer>) {
    this.#call = call;
    call.on('drain', () => this.onDrain?.());
    call.on('cancelled', () => this.#close());
    call.on('finish', () => this.#close());
    call.on('error', () => this.#close());
  }

  get closed(): boolean {
    return this.#closed;
  }

  get share(): unknown {
    return this.#call.getPeer();
  }

  sendHeaders(): void {
    this.#call.sendMetadata(new Metadata());
  }

  write(frame: Frame): boolean {
    if (this.#closed || this.#ended) return true;
    return this.#call.write(wholeMessage(frame));
  }

  end(status: CallStatus, closing: readonly Uint8Array[] = []): void {
    if (this.#closed || this.#ended) return;
    this.#ended = true;
    for (const frame of framesOf(closing)) this.#write(frame);
    const trailers = new Metadata();
    for (const [key, value] of Object.entries(status.trailers)) trailers.set(key, value);
    if (status.code === 0) this.#call.end(trailers);
    else this.#call.emit('error', { code: status.code, details: status.message, metadata: trailers });
  }

  abort(): void {
    this.#call.destroy();
    this.#close();
  }

  #write(frame: Frame): void {
    const [only] = frame;
    if (frame.length === 1 && only !== undefined)
      for (const message of messagesOf(only)) this.#call.write(message);
    else this.#call.write(wholeMessage(frame));
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClose?.();
    for (const listener of this.whenClosed) listener();
  }
}

/** Groups pieces into whole frames: a piece that announces more than it holds continues in the next one. */
function* framesOf(pieces: readonly Uint8Array[]): Generator<Frame, void> {
  for (let index = 0; index < pieces.length; index += 1) {
    const piece = pieces[index] ?? new Uint8Array();
    const announced = FRAME_PREFIX_BYTES + new DataView(piece.buffer, piece.byteOffset).getUint32(1);
    const next = pieces[index + 1];
    if (announced > piece.byteLength && next !== undefined) {
      index += 1;
      yield [piece, next];
    } else {
      yield [piece];
    }
  }
}

function wholeMessage(frame: Frame): Buffer {
  const [first = new Uint8Array()] = frame;
  const known = wholeMessages.get(first);
  if (known !== undefined) return known;
  const whole = Buffer.concat(frame).subarray(FRAME_PREFIX_BYTES);
  wholeMessages.set(first, whole);
  return whole;
}
