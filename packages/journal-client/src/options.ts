import { credentials } from '@grpc/grpc-js';
import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js';
import { JournalClientError } from './errors.ts';

export interface JournalClientOptions {
  /** Servers of one journal, `host:port`. Any of them will do: they know the leader. At least one. */
  readonly endpoints: readonly string[];
  /** A bearer token for every call, or where to get one (asked for each call and stream, so that it may be renewed). */
  readonly token?: string | (() => string | Promise<string>);
  /** TLS and client certificates. Plain text by default. */
  readonly credentials?: ChannelCredentials;
  readonly channelOptions?: ChannelOptions;
  /** For a call with all of its attempts. 30,000 ms by default. */
  readonly deadlineMs?: number;
  /** For one attempt of a call, and for an append that one server leaves unanswered. 10,000 ms by default. */
  readonly attemptTimeoutMs?: number;
  /**
   * How long to go on while not one of the endpoints can be connected to. 0 fails after one round, which is what a
   * person at a terminal wants. `deadlineMs` by default.
   */
  readonly unreachableTimeoutMs?: number;
  /** Appends that may be waiting for their outcome, before more are refused as `overloaded`. 65,536 by default. */
  readonly maxPendingAppends?: number;
  /** Their size together. 64 MiB by default. */
  readonly maxPendingBytes?: number;
  /** Largest message received, in bytes. 16 MiB by default (an overlay is at most 10 MiB). */
  readonly maxMessageBytes?: number;
}

/** Per call. */
export interface CallOptions {
  /** Gives up at once when aborted. */
  readonly signal?: AbortSignal;
  /** Instead of the client's own. */
  readonly deadlineMs?: number;
  /** The same: for calls that take long. */
  readonly attemptTimeoutMs?: number;
}

/** Per write. */
export interface WriteOptions extends CallOptions {
  /**
   * The idempotency key, 1 to 128 characters: of all writes with the same one only the first is done, and all get its
   * answer. Made up by default, which covers the client's own retries; give your own to repeat after a restart.
   */
  readonly requestId?: string;
}

export interface ResolvedOptions {
  readonly endpoints: readonly string[];
  readonly token: () => string | undefined | Promise<string | undefined>;
  readonly credentials: ChannelCredentials;
  readonly channelOptions: ChannelOptions;
  readonly deadlineMs: number;
  readonly attemptTimeoutMs: number;
  readonly unreachableTimeoutMs: number;
  readonly maxPendingAppends: number;
  readonly maxPendingBytes: number;
  readonly maxMessageBytes: number;
}

const MIB = 1024 * 1024;

/** Fails with `invalidOption`. */
export function resolveOptions(options: JournalClientOptions): ResolvedOptions {
  const { endpoints, token } = options;
  if (endpoints.length === 0) {
    throw new JournalClientError('invalidOption', 'name at least one endpoint, for example 127.0.0.1:9443');
  }
  for (const endpoint of endpoints) {
    if (!/^\S+:\d{1,5}$/u.test(endpoint)) {
      throw new JournalClientError(
        'invalidOption',
        `endpoint ${JSON.stringify(endpoint)} must be host:port, for example 127.0.0.1:9443`,
      );
    }
  }
  const deadlineMs = options.deadlineMs ?? 30_000;
  const numbers = {
    deadlineMs,
    attemptTimeoutMs: options.attemptTimeoutMs ?? 10_000,
    maxPendingAppends: options.maxPendingAppends ?? 65_536,
    maxPendingBytes: options.maxPendingBytes ?? 64 * MIB,
    maxMessageBytes: options.maxMessageBytes ?? 16 * MIB,
  };
  for (const [name, value] of Object.entries(numbers)) {
    if (!(value >= 1))
      throw new JournalClientError('invalidOption', `${name} must be at least 1; got ${String(value)}`);
  }
  return {
    ...numbers,
    endpoints: [...new Set(endpoints)],
    token: typeof token === 'function' ? token : () => token,
    credentials: options.credentials ?? credentials.createInsecure(),
    channelOptions: options.channelOptions ?? {},
    unreachableTimeoutMs: options.unreachableTimeoutMs ?? deadlineMs,
  };
}
