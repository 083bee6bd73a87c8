/**
 * A durable outbox in a directory: writes are kept on the local disk and forwarded to the journal in the background, so
 * that a compute node never waits for consensus, and loses nothing while the journal is away.
 */
import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { newEntryToWire, newOperationToWire } from '@pact-journal/journal-proto';
import type { NewAdminOperation, NewConfigEntry } from '@pact-journal/journal-state';
import type { JournalClient } from '../client.ts';
import { JournalClientError } from '../errors.ts';
import { asClientError } from '../failures.ts';
import { forwardAll } from './forwarder.ts';
import { isCode, lockSpool } from './lock.ts';
import { encodeRecord } from './record.ts';
import type { SpooledWrite, SpoolRecord } from './record.ts';
import { SpoolSegments, syncDirectory } from './segments.ts';

export interface SpoolOptions {
  /** Made where it does not exist. One process at a time. */
  readonly directory: string;
  /** Where to forward to. The spool does not close it. */
  readonly client: Pick<JournalClient, 'append' | 'recordOperation'>;
  /** What may wait on disk, in bytes; beyond it writes are refused as `spoolFull`. 64 MiB by default. */
  readonly maxBytes?: number;
  /** Records sent to the journal at a time. 256 by default. */
  readonly batchSize?: number;
  /** Told of what an operator should know. Must not throw. */
  readonly onEvent?: (event: SpoolEvent) => void;
}

export type SpoolEvent =
  /** The journal cannot be had; what waits is kept and tried again. */
  | { readonly type: 'waiting'; readonly reason: string }
  /** The journal will never take this record; it is kept in `rejected.jsonl`. */
  | { readonly type: 'rejected'; readonly number: number; readonly reason: string }
  /** Lines that the disk damaged could not be read; a copy of their file was kept. */
  | { readonly type: 'damaged'; readonly file: string; readonly lines: number }
  /** The disk failed; the spool takes nothing more. */
  | { readonly type: 'failed'; readonly reason: string };

export interface SpoolStatus {
  /** Records that wait to be forwarded, and the bytes that the spool holds on disk. */
  readonly waiting: number;
  readonly sizeBytes: number;
  /** Since it was opened. */
  readonly forwarded: number;
  readonly rejected: number;
}

interface QueuedWrite {
  readonly write: SpooledWrite;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const MIB = 1024 * 1024;
const REJECTED_BYTES_MAX = 4 * MIB;

/** Made by {@link openSpool}. */
export class Spool {
  readonly #options: Required<Omit<SpoolOptions, 'onEvent'>> & Pick<SpoolOptions, 'onEvent'>;
  readonly #id: string;
  readonly #segments: SpoolSegments;
  readonly #unlock: () => Promise<void>;
  readonly #stop = new AbortController();
  /** Work on the files, one piece at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #queue: QueuedWrite[] = [];
  #writing = false;
  #forwarding: Promise<void> | undefined;
  #forwarded = 0;
  #rejected = 0;
  #failure: JournalClientError | undefined;
  #closed: Promise<void> | undefined;

  private constructor(
    options: SpoolOptions,
    id: string,
    segments: SpoolSegments,
    unlock: () => Promise<void>,
  ) {
    this.#options = { maxBytes: 64 * MIB, batchSize: 256, ...options };
    this.#id = id;
    this.#segments = segments;
    this.#unlock = unlock;
    this.#forwardSoon();
  }

  /** See {@link openSpool}. */
  static async open(options: SpoolOptions): Promise<Spool> {
    const { directory, maxBytes = 64 * MIB, onEvent } = options;
    await mkdir(directory, { recursive: true });
    const unlock = await lockSpool(directory);
    try {
      const id = await spoolId(directory);
      const segments = await SpoolSegments.open({
        directory,
        segmentBytes: Math.max(1, Math.min(MIB, Math.floor(maxBytes / 8))),
        onDamage: (file, lines) => onEvent?.({ type: 'damaged', file, lines }),
      });
      return new Spool(options, id, segments, unlock);
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /**
   * Keeps an entry; it is durable on the local disk when this resolves, and will be in the journal once that can be
   * reached. Fails with `spoolFull`, `spoolFailed`, `malformed` or `closed`, and then nothing is kept.
   */
  async append(entry: NewConfigEntry): Promise<void> {
    const doing = `spooling a ${entry.entry_type} entry`;
    this.#check(doing, () => newEntryToWire(entry));
    await this.#keep(doing, { kind: 'entry', value: entry });
  }

  /** Keeps an operation, like {@link append}. */
  async recordOperation(operation: NewAdminOperation): Promise<void> {
    const doing = `spooling operation ${operation.operation_id}`;
    this.#check(doing, () => newOperationToWire(operation));
    await this.#keep(doing, { kind: 'operation', value: operation });
  }

  status(): SpoolStatus {
    return {
      waiting: this.#segments.next - this.#segments.cursor,
      sizeBytes: this.#segments.sizeBytes,
      forwarded: this.#forwarded,
      rejected: this.#rejected,
    };
  }

  /** Resolves once everything kept so far is forwarded, or forwarding has ended because the spool closes or failed. */
  async drain(): Promise<void> {
    while (this.#forwarding !== undefined || this.#writing) {
      await this.#turn;
      await this.#forwarding;
    }
  }

  /** Ends forwarding; what waits stays on disk and goes on when the spool is opened again. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  async #shutDown(): Promise<void> {
    this.#stop.abort(new JournalClientError('closed', 'the spool was closed'));
    await this.drain();
    await this.#exclusively(() => this.#segments.close());
    await this.#unlock();
  }

  #check(doing: string, carry: () => unknown): void {
    if (this.#closed !== undefined) throw new JournalClientError('closed', `${doing}: the spool was closed`);
    if (this.#failure !== undefined) throw this.#failure;
    try {
      carry();
    } catch (error) {
      throw asClientError(error, doing);
    }
  }

  /** What is asked for while the disk is busy shares its next write. */
  async #keep(doing: string, write: SpooledWrite): Promise<void> {
    const kept = new Promise<void>((resolve, reject) => {
      this.#queue.push({ write, resolve, reject });
    });
    if (!this.#writing) {
      this.#writing = true;
      void this.#exclusively(() => this.#write(doing));
    }
    await kept;
  }

  async #write(doing: string): Promise<void> {
    while (this.#queue.length > 0) await this.#writeTogether(doing, this.#queue.splice(0));
    this.#writing = false;
    this.#forwardSoon();
  }

  async #writeTogether(doing: string, queued: readonly QueuedWrite[]): Promise<void> {
    const room = this.#options.maxBytes - this.#segments.sizeBytes;
    const lines: Buffer[] = [];
    let bytes = 0;
    for (const { write } of queued) {
      const line = encodeRecord({ number: this.#segments.next + lines.length, write });
      if (bytes + line.length > room) break;
      bytes += line.length;
      lines.push(line);
    }
    const [kept, refused] = [queued.slice(0, lines.length), queued.slice(lines.length)];
    const settle = (writes: readonly QueuedWrite[], error: JournalClientError): void => {
      for (const { reject } of writes) reject(error);
    };
    if (this.#failure !== undefined) {
      settle(queued, this.#failure);
      return;
    }
    settle(
      refused,
      this.#full(doing, `it holds ${this.#segments.sizeBytes} of at most ${this.#options.maxBytes} bytes`),
    );
    if (kept.length === 0) return;
    try {
      if (await this.#segments.append(Buffer.concat(lines), kept.length))
        for (const { resolve } of kept) resolve();
      else settle(kept, this.#full(doing, `the disk of ${this.#options.directory} is full`));
    } catch (error) {
      settle(kept, this.#fail(error));
    }
  }

  #full(doing: string, why: string): JournalClientError {
    return new JournalClientError(
      'spoolFull',
      `${doing}: the spool is full: ${why}; it empties while the journal can be reached`,
    );
  }

  /** A disk that failed once is not trusted again: what it says it wrote may not be there. */
  #fail(cause: unknown): JournalClientError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#failure ??= new JournalClientError(
      'spoolFailed',
      `the spool ${this.#options.directory} takes nothing more: ${reason}; mend the disk and open it again`,
      { cause },
    );
    this.#stop.abort(this.#failure);
    this.#options.onEvent?.({ type: 'failed', reason });
    return this.#failure;
  }

  #forwardSoon(): void {
    if (this.#forwarding !== undefined || this.#stop.signal.aborted) return;
    if (this.#segments.cursor === this.#segments.next) return;
    this.#forwarding = this.#forward().finally(() => {
      this.#forwarding = undefined;
      this.#forwardSoon();
    });
  }

  async #forward(): Promise<void> {
    const { client, batchSize, onEvent } = this.#options;
    const host = {
      client,
      batchSize,
      requestId: ({ number }: SpoolRecord) => `${this.#id}-${number}`,
      read: (maxCount: number) => this.#exclusively(() => this.#segments.read(maxCount)),
      advance: (number: number) => this.#exclusively(() => this.#segments.advance(number)),
      rejected: async (record: SpoolRecord, reason: string) => {
        await keepRejected(this.#options.directory, `${JSON.stringify({ reason, ...record })}\n`);
        this.#rejected += 1;
        onEvent?.({ type: 'rejected', number: record.number, reason });
      },
      forwarded: (count: number) => {
        this.#forwarded += count;
      },
      waiting: (reason: string) => onEvent?.({ type: 'waiting', reason }),
    };
    try {
      await forwardAll(host, this.#stop.signal);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const mine = this.#turn.then(work, work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}

/** Opens a spool, and begins to forward what an earlier process left. Fails with `spoolLocked`. */
export function openSpool(options: SpoolOptions): Promise<Spool> {
  return Spool.open(options);
}

/** Bounded too: the older half is given up when the newer one has grown so far. */
async function keepRejected(directory: string, line: string): Promise<void> {
  const path = join(directory, 'rejected.jsonl');
  await appendFile(path, line);
  if ((await stat(path)).size > REJECTED_BYTES_MAX) await rename(path, join(directory, 'rejected.old.jsonl'));
}

/** Part of every request id, so that two spools never use the same. Durable before the first record. */
async function spoolId(directory: string): Promise<string> {
  const path = join(directory, 'spool.json');
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof parsed === 'object' && parsed !== null && 'id' in parsed && typeof parsed.id === 'string')
      return parsed.id;
  } catch (error) {
    if (!isCode(error, 'ENOENT') && !(error instanceof SyntaxError)) throw error;
  }
  const id = randomUUID();
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(`${JSON.stringify({ id })}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(directory);
  return id;
}
