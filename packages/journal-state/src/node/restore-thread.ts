import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { SEGMENT_SIZE_BYTES_MAX } from '../limits.ts';
import { findBrokenLink } from '../log/chain-stretch.ts';
import type { ChainStretch } from '../log/chain-stretch.ts';
import { nativeSha256 } from './native-sha256.ts';
import type { RestoreReply, RestoreRequest } from './restore-worker.ts';

/** Less than this is verified sooner than a thread is started: in a few milliseconds. */
const THREAD_SIZE_BYTES_MIN = 512 * 1024;

/** Stretches that may be on their way, each of them with a copy. What is too much for one thread is shared by two. */
const UNDER_WAY_MAX = 8;

/** Pieces of memory that are kept in stock, or ordered. */
const STOCK = 4;

/**
 * What a second thread does while the first one builds a journal: it verifies the hash chain, and it provides memory
 * that need not be waited for page by page. Where there is no second thread to be had, or it dies, the first one does
 * it all.
 */
export class RestoreThread {
  readonly #underWay = new Map<number, ChainStretch>();
  /** For copies of stretches; the thread gives it back. */
  readonly #copies: Uint8Array<ArrayBuffer>[] = [];
  readonly #stock: Uint8Array<ArrayBuffer>[] = [];
  #ordered = 0;
  readonly #workerUrl: URL;
  #state: 'new' | 'running' | 'ended' = 'new';
  #worker: Worker | undefined;
  #broken = -1;
  #whenVerified: (() => void) | undefined;

  constructor(workerUrl: URL = defaultWorkerUrl()) {
    this.#workerUrl = workerUrl;
  }

  /** Takes a stretch, which must not change until it is verified. */
  verify(stretch: ChainStretch): void {
    const { first, previousHash, bytes, ends } = stretch;
    const isSmall = this.#state === 'new' && bytes.length < THREAD_SIZE_BYTES_MIN;
    const worker = isSmall || this.#underWay.size >= UNDER_WAY_MAX ? undefined : this.#running();
    if (worker === undefined) return this.#verifyHere(stretch);
    this.#underWay.set(first, stretch);
    const memory = this.#copyOf(bytes);
    const sizeBytes = bytes.length;
    post(worker, { type: 'stretch', stretch: { first, previousHash, ends }, memory, sizeBytes });
  }

  /** Memory of at least so many bytes, now the caller's. */
  allocate(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const worker = this.#running();
    const memory = this.#stock.pop();
    if (worker !== undefined && this.#stock.length + this.#ordered < STOCK) {
      this.#ordered += 1;
      post(worker, { type: 'memory', sizeBytes });
    }
    return memory !== undefined && memory.length >= sizeBytes ? memory : new Uint8Array(sizeBytes);
  }

  /** Resolves when all that was taken is verified. Until then, and only then, the thread keeps the process alive. */
  async verified(): Promise<void> {
    if (this.#underWay.size === 0) return;
    this.#worker?.ref();
    await new Promise<void>((resolve) => {
      this.#whenVerified = resolve;
    });
  }

  /** Position of the first record found so far whose hash is wrong; -1 where there is none. */
  get broken(): number {
    return this.#broken;
  }

  /** From now on there is only one thread again. */
  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#state = 'ended';
    this.#stock.length = 0;
    this.#copies.length = 0;
    await worker?.terminate();
  }

  #copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const free = this.#copies.pop();
    const isEnough = free !== undefined && free.length >= bytes.length;
    const copy = isEnough ? free : new Uint8Array(Math.max(bytes.length, SEGMENT_SIZE_BYTES_MAX));
    copy.set(bytes);
    return copy;
  }

  #running(): Worker | undefined {
    if (this.#state !== 'new') return this.#worker;
    this.#state = 'ended';
    let worker: Worker;
    try {
      // None of the process's own flags: `--eval` and `--input-type` would be taken as meant for the thread.
      worker = new Worker(this.#workerUrl, { name: 'restore', execArgv: [] });
    } catch {
      // The process may not have more threads, or none at all.
      return undefined;
    }
    // Before that, Node would undo it.
    worker.once('online', () => {
      if (this.#whenVerified === undefined) worker.unref();
    });
    worker.on('message', (reply: RestoreReply) => this.#take(reply));
    worker.on('error', () => this.#lost(worker));
    worker.on('exit', () => this.#lost(worker));
    this.#state = 'running';
    this.#worker = worker;
    return worker;
  }

  #take(reply: RestoreReply): void {
    if (reply.type === 'memory') {
      this.#ordered -= 1;
      this.#stock.push(reply.memory);
      return;
    }
    this.#copies.push(reply.memory);
    this.#underWay.delete(reply.first);
    this.#found(reply.broken);
  }

  #lost(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#state = 'ended';
    const left = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const stretch of left) this.#verifyHere(stretch);
  }

  #verifyHere(stretch: ChainStretch): void {
    const memory = this.#copyOf(stretch.bytes);
    const bytes = memory.subarray(0, stretch.bytes.length);
    const broken = findBrokenLink({ ...stretch, bytes }, nativeSha256);
    this.#copies.push(memory);
    this.#found(broken);
  }

  #found(broken: number): void {
    if (broken >= 0 && (this.#broken < 0 || broken < this.#broken)) this.#broken = broken;
    if (this.#underWay.size === 0) this.#whenVerified?.();
  }
}

function post(worker: Worker, request: RestoreRequest): void {
  worker.postMessage(request, request.type === 'stretch' ? [request.memory.buffer] : []);
}

/** The file that this module is in: the CommonJS build has no `import.meta`, and the others have no `__filename`. */
function thisFile(): string {
  return typeof __filename === 'string' ? pathToFileURL(__filename).href : import.meta.url;
}

/** Beside this module, with this module's own extension: `.ts` from source, `.js` or `.cjs` when built. */
function defaultWorkerUrl(): URL {
  const extension = /\.[a-z]+$/.exec(new URL(thisFile()).pathname)?.[0] ?? '.js';
  return new URL(`./restore-worker${extension}`, thisFile());
}
