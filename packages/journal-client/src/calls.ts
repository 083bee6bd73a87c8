/** Calls that go to whichever of the servers answers, again and again until they are decided or time is up. */
import type { ClientReadableStream, Metadata, MethodDefinition, ServiceError } from '@grpc/grpc-js';
import { backoffMs, pause } from './backoff.ts';
import type { Endpoint, Endpoints } from './endpoints.ts';
import { JournalClientError } from './errors.ts';
import { asClientError, errorOf, failureOf } from './failures.ts';
import type { Failure } from './failures.ts';
import type { CallOptions, ResolvedOptions } from './options.ts';

/**
 * Whether a call may be sent again after an attempt whose outcome is unknown.
 *
 * - `read`: it changes nothing
 * - `write`: it has a request id, or doing it twice is the same as once
 * - `once`: neither, so that it is given up as `outcomeUnknown`
 */
export type Repeatability = 'read' | 'write' | 'once';

export interface CallDescription extends CallOptions {
  /** For messages: `reading entry 7`. */
  readonly doing: string;
  readonly repeat: Repeatability;
  readonly requestId?: string;
}

/** For asking another server where there is an answer already, if not the best one. */
const SECOND_OPINION_TIMEOUT_MS = 1_000;

interface Attempt {
  readonly endpoint: Endpoint;
  readonly metadata: Metadata;
  /** When this attempt must have its answer, in milliseconds since the epoch. */
  readonly deadline: number;
}

export class Calls {
  readonly #endpoints: Endpoints;
  readonly #options: ResolvedOptions;

  constructor(endpoints: Endpoints, options: ResolvedOptions) {
    this.#endpoints = endpoints;
    this.#options = options;
  }

  /**
   * Where the answer is not `wanted`, the other servers are asked once, too; if none has a better one, the first counts.
   */
  async unary<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    call: CallDescription,
    wanted: (response: Response) => boolean = () => true,
  ): Promise<Response> {
    const attempt = ({ endpoint, metadata, deadline }: Attempt): Promise<Response> => {
      return new Promise<Response>((resolve, reject) => {
        const running = endpoint.client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          metadata,
          { deadline },
          (error: ServiceError | null, response?: Response) => {
            call.signal?.removeEventListener('abort', abort);
            if (error !== null) reject(error);
            else if (response !== undefined) resolve(response);
            else
              reject(
                new JournalClientError('malformed', `${call.doing}: ${endpoint.address} answered nothing`),
              );
          },
        );
        const abort = (): void => running.cancel();
        call.signal?.addEventListener('abort', abort, { once: true });
      });
    };
    return await this.#anywhere(call, attempt, wanted);
  }

  /** Another server is tried only as long as no message has come. Leaving the loop early cancels the call. */
  async *stream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    call: CallDescription,
  ): AsyncGenerator<Response, void> {
    let address = '';
    const opened = await this.#anywhere(call, async ({ endpoint, metadata }) => {
      address = endpoint.address;
      const messages: ClientReadableStream<Response> = endpoint.client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        {},
      );
      // Errors reach the loop through the iterator; this one only keeps late ones from being nobody's.
      messages.on('error', () => undefined);
      const abort = (): void => messages.cancel();
      call.signal?.addEventListener('abort', abort, { once: true });
      const timer = setTimeout(abort, this.#options.attemptTimeoutMs);
      const iterator: AsyncIterator<Response> = messages[Symbol.asyncIterator]();
      try {
        return { messages, iterator, first: await iterator.next(), abort };
      } finally {
        clearTimeout(timer);
      }
    });
    try {
      for (let next = opened.first; next.done !== true; next = await opened.iterator.next()) yield next.value;
    } catch (error) {
      if (isAborted(call)) throw aborted(call);
      throw errorOf(call.doing, [failureOf(error, address)], false);
    } finally {
      call.signal?.removeEventListener('abort', opened.abort);
      opened.messages.cancel();
    }
  }

  /** Rounds over all servers, with a pause between rounds. */
  async #anywhere<Result>(
    call: CallDescription,
    attempt: (attempt: Attempt) => Promise<Result>,
    wanted: (result: Result) => boolean = () => true,
  ): Promise<Result> {
    const startedMs = Date.now();
    const giveUpMs = startedMs + (call.deadlineMs ?? this.#options.deadlineMs);
    const attemptMs = call.attemptTimeoutMs ?? this.#options.attemptTimeoutMs;
    let mayBeDone = false;
    let unwanted: { readonly result: Result } | undefined;
    for (let round = 1; ; round += 1) {
      const failures: Failure[] = [];
      for (const address of [...this.#endpoints.addresses]) {
        if (isAborted(call)) throw aborted(call);
        const endpoint = this.#endpoints.at(address);
        try {
          const timeoutMs =
            unwanted === undefined ? attemptMs : Math.min(attemptMs, SECOND_OPINION_TIMEOUT_MS);
          const deadline = Math.min(giveUpMs, Date.now() + timeoutMs);
          const metadata = await this.#endpoints.metadata(call.requestId);
          const result = await attempt({ endpoint, metadata, deadline });
          if (wanted(result)) {
            this.#endpoints.prefer(address);
            return result;
          }
          unwanted ??= { result };
        } catch (error) {
          if (isAborted(call)) throw aborted(call);
          if (unwanted !== undefined) continue;
          const failure = failureFor(error, address, call.doing);
          failures.push(failure);
          mayBeDone ||= failure.outcomeUnknown && call.repeat !== 'read';
          if (failure.kind === 'refused') throw errorOf(call.doing, [failure], false);
          if (failure.outcomeUnknown && call.repeat === 'once') throw errorOf(call.doing, [failure], true);
          this.#endpoints.defer(address);
          if (Date.now() >= giveUpMs) throw errorOf(call.doing, failures, mayBeDone);
        }
      }
      if (unwanted !== undefined) return unwanted.result;
      const delayMs = backoffMs(round);
      const nextMs = Date.now() + delayMs;
      const allDown = failures.every(({ kind }) => kind === 'notConnected');
      if (nextMs >= giveUpMs || (allDown && nextMs >= startedMs + this.#options.unreachableTimeoutMs)) {
        throw errorOf(call.doing, failures, mayBeDone);
      }
      await pause(delayMs, call.signal);
    }
  }
}

function failureFor(error: unknown, address: string, doing: string): Failure {
  try {
    return failureOf(error, address);
  } catch (other) {
    throw asClientError(other, doing);
  }
}

/** Asked anew each time: it may have changed meanwhile. */
function isAborted({ signal }: CallDescription): boolean {
  return signal?.aborted ?? false;
}

function aborted(call: CallDescription): JournalClientError {
  return new JournalClientError('aborted', `${call.doing}: given up by the caller`, {
    cause: call.signal?.reason,
  });
}
