/**
 * Many callers, one stream: appends of one turn of the event loop share a message, what is unanswered when a stream
 * breaks is sent again on the next one under the same request id, and each caller gets its own outcome.
 */
import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { journal } from '@pact-journal/journal-proto';
import { backoffMs } from '../backoff.ts';
import type { Endpoint, Endpoints } from '../endpoints.ts';
import { JournalClientError } from '../errors.ts';
import { errorOf } from '../failures.ts';
import type { Failure } from '../failures.ts';
import type { ResolvedOptions, WriteOptions } from '../options.ts';
import { encodeItem } from './pending.ts';
import type { PendingAppend, Receipt } from './pending.ts';
import { AppendSession, MAX_ITEMS_PER_MESSAGE, MESSAGE_BYTES } from './session.ts';
import type { SessionHost } from './session.ts';

/** As they come in messages: plain numbers. */
const RESOURCE_EXHAUSTED: number = status.RESOURCE_EXHAUSTED;
const UNAUTHENTICATED: number = status.UNAUTHENTICATED;

const REQUEST_ID_LENGTH_MAX = 128;
/** An election takes a second or two: what waits for its end should not wait much longer. */
const RETRY_PAUSE_MAX_MS = 250;
/** Longer than that a server that says "not now" is more likely to be none of the group any more. */
const NOT_NOW_MAX_MS = 3_000;

export class Appender implements SessionHost {
  readonly #endpoints: Endpoints;
  readonly #options: ResolvedOptions;
  /** Address of the leader, as far as a server knows it. */
  readonly #locateLeader: () => Promise<string | undefined>;
  readonly #clientId = randomUUID();
  readonly #pending = new Set<PendingAppend>();
  /** To be sent, oldest first. */
  #outbox: PendingAppend[] = [];
  #pendingBytes = 0;
  #nextId = 1;
  #session: AppendSession | undefined;
  readonly #finishing = new Set<AppendSession>();
  #opening = false;
  #flushScheduled = false;
  #retryTimer: NodeJS.Timeout | undefined;
  /** Attempts since something was answered. */
  #failedAttempts = 0;
  /** Since when the server of the session has put everything off. */
  #notNowSinceMs: number | undefined;
  /** It put everything off for too long: not the next one, whoever says that it leads. */
  #avoid: string | undefined;
  #unreachableSinceMs: number | undefined;
  readonly #unreachable = new Map<string, Failure>();
  #closed = false;

  constructor(
    endpoints: Endpoints,
    options: ResolvedOptions,
    locateLeader: () => Promise<string | undefined>,
  ) {
    this.#endpoints = endpoints;
    this.#options = options;
    this.#locateLeader = locateLeader;
  }

  /** Durable and applied when it resolves. */
  append(
    doing: string,
    command: NonNullable<journal.AppendItem['command']>,
    options: WriteOptions,
  ): Promise<Receipt> {
    const correlationId = this.#nextId;
    this.#nextId += 1;
    const requestId = options.requestId ?? `${this.#clientId}-${correlationId.toString(36)}`;
    if (requestId.length < 1 || requestId.length > REQUEST_ID_LENGTH_MAX) {
      throw new JournalClientError(
        'malformed',
        `${doing}: a request id must have 1 to ${REQUEST_ID_LENGTH_MAX} characters`,
      );
    }
    const item = encodeItem(correlationId, requestId, command);
    this.#admit(doing, item.length, options.signal);
    return new Promise<Receipt>((resolve, reject) => {
      const abort = (): void => this.#giveUp(pending, 'aborted');
      const pending: PendingAppend = {
        correlationId,
        doing,
        item,
        resolve,
        reject,
        timer: setTimeout(
          () => this.#giveUp(pending, 'deadline'),
          options.deadlineMs ?? this.#options.deadlineMs,
        ),
        unlisten: () => options.signal?.removeEventListener('abort', abort),
        inFlight: false,
        uncertain: false,
        lastFailure: undefined,
      };
      options.signal?.addEventListener('abort', abort, { once: true });
      this.#pending.add(pending);
      this.#pendingBytes += item.length;
      this.#outbox.push(pending);
      this.#scheduleFlush();
    });
  }

  /** Fails what is pending as `closed`, or `outcomeUnknown` where it was sent. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    for (const pending of [...this.#pending]) {
      const known = mayBeDone(pending) ? 'outcomeUnknown' : 'closed';
      const words = mayBeDone(pending) ? 'it was sent, but its outcome is not known' : 'it was not sent';
      this.#settle(pending);
      pending.reject(new JournalClientError(known, `${pending.doing}: the client was closed; ${words}`));
    }
    this.#outbox = [];
    this.#session?.cancel();
    for (const session of this.#finishing) session.cancel();
    this.#session = undefined;
  }

  #admit(doing: string, sizeBytes: number, signal: AbortSignal | undefined): void {
    if (this.#closed) throw new JournalClientError('closed', `${doing}: the client was closed`);
    if (signal?.aborted === true) {
      throw new JournalClientError('aborted', `${doing}: given up by the caller`, { cause: signal.reason });
    }
    const { maxPendingAppends, maxPendingBytes } = this.#options;
    if (this.#pending.size >= maxPendingAppends || this.#pendingBytes + sizeBytes > maxPendingBytes) {
      throw new JournalClientError(
        'overloaded',
        `${doing}: ${this.#pending.size} appends of ${this.#pendingBytes} bytes wait for their outcome already; wait for some of them`,
      );
    }
  }

  #settle(pending: PendingAppend): void {
    clearTimeout(pending.timer);
    pending.unlisten();
    if (this.#pending.delete(pending)) this.#pendingBytes -= pending.item.length;
  }

  #giveUp(pending: PendingAppend, why: 'deadline' | 'aborted'): void {
    if (!this.#pending.has(pending)) return;
    this.#settle(pending);
    this.#compact();
    this.#session?.forget(pending);
    for (const session of this.#finishing) session.forget(pending);
    if (why === 'aborted' && !mayBeDone(pending)) {
      pending.reject(
        new JournalClientError('aborted', `${pending.doing}: given up by the caller before it was sent`),
      );
      return;
    }
    const failures = pending.lastFailure === undefined ? [] : [pending.lastFailure];
    pending.reject(
      mayBeDone(pending) && failures.length === 0
        ? new JournalClientError(
            'outcomeUnknown',
            `${pending.doing}: no answer came in time; it may have been done all the same, so look before repeating it`,
          )
        : errorOf(pending.doing, failures, mayBeDone(pending)),
    );
  }

  /** What was given up stays in the outbox until it is next looked at, but not without bound. */
  #compact(): void {
    if (this.#outbox.length < 1_024 || this.#outbox.length < 2 * this.#pending.size) return;
    this.#outbox = this.#outbox.filter((pending) => this.#pending.has(pending));
  }

  /** After whatever else this turn appends. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#retryTimer !== undefined) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#closed || this.#outbox.length === 0) return;
    if (this.#session === undefined) {
      void this.#open();
      return;
    }
    let at = 0;
    while (this.#session.writable && at < this.#outbox.length) {
      const batch: PendingAppend[] = [];
      let bytes = 0;
      for (; at < this.#outbox.length && batch.length < MAX_ITEMS_PER_MESSAGE; at += 1) {
        const next = this.#outbox[at];
        if (next === undefined) break;
        if (!this.#pending.has(next)) continue;
        bytes += next.item.length;
        if (batch.length > 0 && bytes > MESSAGE_BYTES) break;
        batch.push(next);
      }
      if (batch.length > 0) this.#session.send(batch);
    }
    this.#outbox = at === this.#outbox.length ? [] : this.#outbox.slice(at);
  }

  async #open(): Promise<void> {
    if (this.#opening) return;
    this.#opening = true;
    try {
      const { endpoint, leads } = await this.#choose();
      const metadata = await this.#endpoints.metadata();
      if (this.#closed) return;
      this.#session = new AppendSession(endpoint, leads, metadata, this.#options.attemptTimeoutMs, this);
      this.#flush();
    } catch (error) {
      // No token, or closed: nothing that another attempt would mend.
      for (const pending of this.#outbox.splice(0)) {
        this.#settle(pending);
        pending.reject(error);
      }
    } finally {
      this.#opening = false;
    }
  }

  /** The leader; after it failed, or while nobody knows it, whichever server is next. */
  async #choose(): Promise<{ readonly endpoint: Endpoint; readonly leads: boolean }> {
    const [first] = this.#endpoints.addresses;
    const leader = this.#failedAttempts % 2 === 0 ? await this.#locateLeader() : undefined;
    const known = leader === this.#avoid ? undefined : leader;
    this.#avoid = undefined;
    const address = known ?? first;
    if (address === undefined) throw new JournalClientError('invalidOption', 'no endpoint is named');
    return { endpoint: this.#endpoints.at(address), leads: known !== undefined };
  }

  // What a session reports.

  writable(): void {
    this.#flush();
  }

  outcome(
    pending: PendingAppend,
    outcome: NonNullable<journal.AppendOutcome['outcome']>,
    endpoint: string,
  ): void {
    this.#unreachable.clear();
    this.#unreachableSinceMs = undefined;
    if (!this.#pending.has(pending)) return;
    if (outcome.$case === 'appended') {
      const receipt = outcome.value;
      this.#failedAttempts = 0;
      this.#notNowSinceMs = undefined;
      this.#settle(pending);
      pending.resolve({ ...receipt, sequence: receipt.sequence });
      this.#noticeTerm(receipt.term);
      return;
    }
    const failure = failureOfOutcome(outcome.value, endpoint);
    pending.lastFailure = failure;
    pending.uncertain ||= failure.outcomeUnknown;
    if (outcome.value.retryable) {
      if (failure.kind === 'notNow') this.#leaveIfStuck(endpoint);
      this.#retry([pending]);
      return;
    }
    this.#settle(pending);
    // The state machine's word covers earlier attempts too: it remembers what was done under a request id.
    pending.reject(errorOf(pending.doing, [failure], failure.outcomeUnknown));
  }

  /** A member that was removed may say for ever that nobody leads, and keep its streams open. */
  #leaveIfStuck(address: string): void {
    const session = this.#session;
    if (session?.endpoint.address !== address) return;
    const nowMs = performance.now();
    this.#notNowSinceMs ??= nowMs;
    const patienceMs = Math.min(NOT_NOW_MAX_MS, this.#options.attemptTimeoutMs);
    if (nowMs - this.#notNowSinceMs < patienceMs) return;
    if (this.#endpoints.addresses.every((other) => other === address)) return;
    this.#notNowSinceMs = undefined;
    this.#avoid = address;
    this.#endpoints.defer(address);
    this.#leave(session);
  }

  /** What is under way ends where it is; what comes next goes elsewhere. */
  #leave(session: AppendSession): void {
    this.#session = undefined;
    this.#finishing.add(session);
    session.finish();
  }

  over(session: AppendSession, unanswered: readonly PendingAppend[], failure: Failure): void {
    this.#finishing.delete(session);
    if (this.#session === session) {
      this.#session = undefined;
      this.#notNowSinceMs = undefined;
    }
    if (this.#closed) return;
    for (const pending of unanswered) {
      pending.lastFailure = failure;
      if (failure.kind !== 'notConnected') pending.uncertain = true;
    }
    if (failure.kind === 'notConnected') for (const pending of this.#outbox) pending.lastFailure = failure;
    this.#endpoints.defer(session.endpoint.address);
    if (isFinal(failure, session)) {
      for (const pending of [...unanswered, ...this.#outbox.splice(0)]) {
        this.#settle(pending);
        pending.reject(errorOf(pending.doing, [failure], false));
      }
      return;
    }
    const kept =
      failure.grpcCode === RESOURCE_EXHAUSTED ? this.#dropTooLarge(unanswered, failure) : unanswered;
    if (this.#giveUpUnreachable(failure, kept)) return;
    this.#retry(kept);
  }

  /** A server that takes no message this large ends the stream: what went in a message of its own is to blame. */
  #dropTooLarge(unanswered: readonly PendingAppend[], failure: Failure): readonly PendingAppend[] {
    const tooLarge = unanswered.filter(({ item }) => item.length > MESSAGE_BYTES);
    for (const pending of tooLarge) {
      this.#settle(pending);
      pending.reject(
        new JournalClientError(
          'refused',
          `${pending.doing}: ${pending.item.length} bytes are more than the server takes: ${failure.reason}`,
          {
            cause: failure.cause,
            grpcCode: failure.grpcCode,
          },
        ),
      );
    }
    return unanswered.filter((pending) => !tooLarge.includes(pending));
  }

  /** True where no server could be connected to for as long as the options allow. */
  #giveUpUnreachable(failure: Failure, unanswered: readonly PendingAppend[]): boolean {
    if (failure.kind !== 'notConnected') {
      this.#unreachableSinceMs = undefined;
      this.#unreachable.clear();
      return false;
    }
    const nowMs = performance.now();
    this.#unreachableSinceMs ??= nowMs;
    this.#unreachable.set(failure.endpoint, failure);
    const allDown = this.#endpoints.addresses.every((address) => this.#unreachable.has(address));
    if (!allDown || nowMs - this.#unreachableSinceMs < this.#options.unreachableTimeoutMs) return false;
    for (const pending of [...unanswered, ...this.#outbox.splice(0)]) {
      this.#settle(pending);
      pending.reject(errorOf(pending.doing, [...this.#unreachable.values()], pending.uncertain));
    }
    this.#unreachable.clear();
    this.#unreachableSinceMs = undefined;
    return true;
  }

  /** Behind what waits already, after a pause. */
  #retry(again: readonly PendingAppend[]): void {
    this.#outbox.push(...again);
    if (this.#retryTimer !== undefined || this.#outbox.length === 0) return;
    this.#failedAttempts += 1;
    const nextServer =
      [...this.#unreachable.keys()].length > 0 && this.#unreachable.size < this.#endpoints.addresses.length;
    this.#retryTimer = setTimeout(
      () => {
        this.#retryTimer = undefined;
        this.#flush();
      },
      nextServer ? 0 : Math.min(RETRY_PAUSE_MAX_MS, backoffMs(this.#failedAttempts)),
    );
  }

  /** A new term means a new leader, and a server that does not lead passes on: what comes next goes to it directly, what is under way ends where it is. */
  #noticeTerm(term: number): void {
    const session = this.#session;
    if (session === undefined) return;
    session.term ??= term;
    if (session.leads && term <= session.term) return;
    session.leads = true;
    session.term = term;
    void this.#locateLeader().then((leader) => {
      if (leader === undefined || leader === session.endpoint.address || this.#session !== session) return;
      this.#leave(session);
      this.#scheduleFlush();
    });
  }
}

function mayBeDone({ inFlight, uncertain }: PendingAppend): boolean {
  return inFlight || uncertain;
}

/** An outcome's failure came as an answer, so that nothing but its own word makes it unknown. */
function failureOfOutcome(failure: journal.AppendFailure, endpoint: string): Failure {
  const kind = failure.code === RESOURCE_EXHAUSTED ? 'overloaded' : failure.retryable ? 'notNow' : 'refused';
  return {
    kind,
    endpoint,
    grpcCode: failure.code,
    reason: failure.reason,
    outcomeUnknown: failure.outcomeUnknown,
    validationCode: failure.validationCode === '' ? undefined : failure.validationCode,
    cause: undefined,
  };
}

/** No other attempt would end otherwise; but a token that has expired on a long stream is replaced on the next. */
function isFinal(failure: Failure, session: AppendSession): boolean {
  if (failure.kind !== 'refused') return false;
  return !(failure.grpcCode === UNAUTHENTICATED && session.answered > 0);
}
