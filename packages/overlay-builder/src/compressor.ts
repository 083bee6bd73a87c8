import { Worker } from 'node:worker_threads';
import { OverlayError } from './errors.ts';
import type { CompressionReply, CompressionRequest } from './worker-protocol.ts';
import type { CompressedContent } from './zstd.ts';

/** Who waits for a build: a boot (`urgent`) goes before the leader's own rebuilds (`background`). */
export type BuildPriority = 'urgent' | 'background';

export type ContentProducer = () => Promise<Uint8Array<ArrayBuffer>>;

/** Compresses contents off the event loop. */
export interface OverlayCompressor {
  /**
   * `produce` is called when it is this job's turn, so that waiting jobs hold no content; what it resolves to is given
   * away. Fails with OverlayError `compressionFailed` or `closed`, or with what `produce` failed with.
   */
  compress(produce: ContentProducer, priority: BuildPriority): Promise<CompressedContent>;
  /** Fails what is waiting, ends the thread. Idempotent. */
  close(): Promise<void>;
}

interface Job {
  readonly produce: ContentProducer;
  readonly resolve: (compressed: CompressedContent) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One worker thread, started with the first job and replaced if it dies. Two jobs are given to it at a time, so that
 * it never waits for the event loop while others queue. The thread does not keep the process alive.
 */
export class WorkerCompressor implements OverlayCompressor {
  static readonly #inFlightMax = 2;
  readonly #workerUrl: URL;
  readonly #urgent: Job[] = [];
  readonly #background: Job[] = [];
  readonly #inFlight = new Map<number, Job>();
  #worker: Worker | undefined;
  #nextId = 0;
  #closed = false;

  /** `workerUrl`: where the thread's entry is, for applications that are bundled and move it. */
  constructor(options: { readonly workerUrl?: URL } = {}) {
    this.#workerUrl = options.workerUrl ?? defaultWorkerUrl();
  }

  compress(produce: ContentProducer, priority: BuildPriority): Promise<CompressedContent> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError());
      (priority === 'urgent' ? this.#urgent : this.#background).push({ produce, resolve, reject });
      this.#pump();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    const abandoned = [...this.#inFlight.values(), ...this.#urgent, ...this.#background];
    this.#inFlight.clear();
    this.#urgent.length = 0;
    this.#background.length = 0;
    for (const job of abandoned) job.reject(closedError());
    await worker?.terminate();
  }

  #pump(): void {
    while (this.#inFlight.size < WorkerCompressor.#inFlightMax) {
      const job = this.#urgent.shift() ?? this.#background.shift();
      if (job === undefined) return;
      void this.#send(job);
    }
  }

  async #send(job: Job): Promise<void> {
    const id = this.#nextId++;
    this.#inFlight.set(id, job);
    let content: Uint8Array<ArrayBuffer>;
    try {
      content = await job.produce();
    } catch (error) {
      this.#finish(id)?.reject(error);
      return;
    }
    if (!this.#inFlight.has(id)) return; // closed meanwhile
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    const request: CompressionRequest = { id, content };
    worker.postMessage(request, [content.buffer]);
  }

  #finish(id: number): Job | undefined {
    const job = this.#inFlight.get(id);
    this.#inFlight.delete(id);
    this.#pump();
    if (this.#inFlight.size === 0) this.#worker?.unref();
    return job;
  }

  #start(): Worker {
    // None of the process's own flags: `--eval` and `--input-type` would be taken as meant for the thread.
    const worker = new Worker(this.#workerUrl, { name: 'overlay-compressor', execArgv: [] });
    worker.on('message', (reply: CompressionReply) => this.#settle(reply));
    worker.on('error', (error: Error) => this.#lost(worker, error));
    worker.on('exit', (code) => this.#lost(worker, new Error(`it exited with code ${code}`)));
    return worker;
  }

  #settle(reply: CompressionReply): void {
    const job = this.#finish(reply.id);
    if (reply.ok) job?.resolve({ data: reply.data, checksum: reply.checksum });
    else job?.reject(new OverlayError('compressionFailed', `cannot compress the overlay: ${reply.reason}`));
  }

  #lost(worker: Worker, cause: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const lost = [...this.#inFlight.values()];
    this.#inFlight.clear();
    for (const job of lost) {
      job.reject(
        new OverlayError('compressionFailed', `the compression thread died: ${cause.message}`, { cause }),
      );
    }
    this.#pump();
  }
}

/** Beside this module, with this module's own extension: `.ts` from source, `.js` or `.cjs` when built. */
function defaultWorkerUrl(): URL {
  const extension = /\.[a-z]+$/.exec(new URL(import.meta.url).pathname)?.[0] ?? '.js';
  return new URL(`./worker${extension}`, import.meta.url);
}

function closedError(): OverlayError {
  return new OverlayError('closed', 'cannot build the overlay: the builder was closed');
}
