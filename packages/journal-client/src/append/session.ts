import { Metadata, status } from '@grpc/grpc-js';
import type { ClientDuplexStream, ServiceError, StatusObject } from '@grpc/grpc-js';
import { journal } from '@pact-journal/journal-proto';
import type { Endpoint } from '../endpoints.ts';
import { failureOfStatus } from '../failures.ts';
import type { Failure } from '../failures.ts';
import { encodeRequest } from './pending.ts';
import type { PendingAppend } from './pending.ts';

const { appendStream } = journal.JournalAppendServiceDefinition;

/** What the server allows in a message, and what is a good size for one. */
export const MAX_ITEMS_PER_MESSAGE = 1_024;
export const MESSAGE_BYTES = 512 * 1024;

type AppendCall = ClientDuplexStream<Buffer, journal.AppendStreamResponse>;

export interface SessionHost {
  outcome(
    pending: PendingAppend,
    outcome: NonNullable<journal.AppendOutcome['outcome']>,
    endpoint: string,
  ): void;
  /** The stream is over; what it left unanswered may or may not be done. */
  over(session: AppendSession, unanswered: readonly PendingAppend[], failure: Failure): void;
  /** It takes more again. */
  writable(): void;
}

interface Sent {
  readonly pending: PendingAppend;
  readonly sentMs: number;
  /** Something that was sent after it has been answered. */
  passedOver: boolean;
}

/**
 * One stream to one server, and what was sent on it. A server may keep the stream and never answer, for example a leader
 * that is cut off from the others: the stream is over once something has waited for `patienceMs`, unless answers still
 * come in the order in which their appends were sent, as they do from a server that is only slow.
 */
export class AppendSession {
  readonly endpoint: Endpoint;
  readonly #host: SessionHost;
  readonly #call: AppendCall;
  readonly #patienceMs: number;
  /** The oldest comes first. */
  readonly #unanswered = new Map<number, Sent>();
  #answeredMs = 0;
  /** Set while something is unanswered. */
  #watch: NodeJS.Timeout | undefined;
  #blocked = false;
  #over = false;
  /** The server was the leader, as far as was known, in this term or from the first receipt on. */
  leads: boolean;
  term: number | undefined;
  answered = 0;

  constructor(endpoint: Endpoint, leads: boolean, metadata: Metadata, patienceMs: number, host: SessionHost) {
    this.endpoint = endpoint;
    this.leads = leads;
    this.#patienceMs = patienceMs;
    this.#host = host;
    this.#call = endpoint.client.makeBidiStreamRequest(
      appendStream.path,
      (frame: Buffer) => frame,
      appendStream.responseDeserialize,
      metadata,
      {},
    );
    this.#call.on('data', (response: journal.AppendStreamResponse) => this.#receive(response));
    this.#call.on('drain', () => {
      this.#blocked = false;
      this.#host.writable();
    });
    this.#call.on('error', (error: ServiceError) => this.#end(error, error));
    this.#call.on('status', (end: StatusObject) => this.#end(end, undefined));
  }

  get writable(): boolean {
    return !this.#over && !this.#blocked;
  }

  /** Sends them in one message. They are the caller's to keep within the limits. */
  send(batch: readonly PendingAppend[]): void {
    const sentMs = performance.now();
    for (const pending of batch) {
      pending.inFlight = true;
      this.#unanswered.set(pending.correlationId, { pending, sentMs, passedOver: false });
    }
    this.#watchOldest();
    this.#blocked = !this.#call.write(encodeRequest(batch.map(({ item }) => item)));
  }

  /** Sends nothing more, but still takes outcomes. */
  finish(): void {
    this.#call.end();
  }

  /** The caller is no longer interested. */
  forget(pending: PendingAppend): void {
    this.#unanswered.delete(pending.correlationId);
  }

  cancel(): void {
    this.#call.cancel();
  }

  #receive({ outcomes }: journal.AppendStreamResponse): void {
    for (const { correlationId, outcome } of outcomes) {
      const sent = this.#unanswered.get(correlationId);
      if (sent === undefined || outcome === undefined) continue;
      const { pending } = sent;
      const oldest = this.#oldest();
      if (oldest !== undefined && oldest !== sent) oldest.passedOver = true;
      this.#unanswered.delete(correlationId);
      this.#answeredMs = performance.now();
      pending.inFlight = false;
      this.answered += 1;
      this.#host.outcome(pending, outcome, this.endpoint.address);
    }
  }

  #oldest(): Sent | undefined {
    return this.#unanswered.values().next().value;
  }

  #watchOldest(): void {
    const oldest = this.#oldest();
    if (this.#watch !== undefined || this.#over || oldest === undefined) return;
    const sinceMs = oldest.passedOver ? oldest.sentMs : Math.max(oldest.sentMs, this.#answeredMs);
    const leftMs = sinceMs + this.#patienceMs - performance.now();
    if (leftMs <= 0) {
      const details = `no answer within ${String(this.#patienceMs)} ms`;
      this.#end({ code: status.DEADLINE_EXCEEDED, details, metadata: new Metadata() }, undefined);
      this.#call.cancel();
      return;
    }
    this.#watch = setTimeout(() => {
      this.#watch = undefined;
      this.#watchOldest();
    }, leftMs);
  }

  #end(end: StatusObject, cause: unknown): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#watch);
    const unanswered = [...this.#unanswered.values()].map(({ pending }) => pending);
    this.#unanswered.clear();
    for (const pending of unanswered) pending.inFlight = false;
    const failure =
      end.code === status.OK
        ? failureOfStatus(
            { ...end, code: status.UNAVAILABLE, details: 'the server ended the stream' },
            this.endpoint.address,
            cause,
          )
        : failureOfStatus(end, this.endpoint.address, cause);
    this.#host.over(this, unanswered, failure);
  }
}
