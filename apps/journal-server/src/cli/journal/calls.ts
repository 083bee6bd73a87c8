/** Calls that go to whichever of the named servers answers. */
import {
  Channel,
  credentials,
  Metadata,
  status,
  type CallOptions,
  type ClientReadableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { setTimeout as delay } from 'node:timers/promises';
import { journal, OUTCOME_KEY, policy, REQUEST_ID_KEY } from '@pact-journal/journal-proto';
import type { GlobalOptions } from '../context.ts';
import { CliError, cliErrorOfStatus, nobodyListensError } from '../errors.ts';

/** One server, with a client a service over one connection. */
export interface Connection {
  readonly endpoint: string;
  readonly config: journal.ConfigServiceClient;
  readonly appends: journal.JournalAppendServiceClient;
  readonly nodes: journal.NodeServiceClient;
  readonly audit: journal.AuditServiceClient;
  readonly cluster: journal.ClusterServiceClient;
  readonly overlays: journal.OverlayServiceClient;
  readonly query: journal.JournalQueryServiceClient;
  readonly policies: policy.PolicyServiceClient;
  close(): void;
}

export type UnaryCall<Response> = (
  connection: Connection,
  metadata: Metadata,
  options: CallOptions,
  done: (error: ServiceError | null, response: Response) => void,
) => unknown;

export type StreamCall<Message> = (
  connection: Connection,
  metadata: Metadata,
  options: CallOptions,
) => ClientReadableStream<Message>;

/** How long a call is tried again while there are servers but no leader, in milliseconds. */
const RETRY_WINDOW_MS = 10_000;
const RETRY_PAUSE_MS = 100;

/** How long one attempt may take, in milliseconds. */
const ATTEMPT_TIMEOUT_MS = 15_000;

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export class Calls {
  readonly #connections: readonly Connection[];
  readonly #token: string | undefined;
  /** The connection that answered last is tried first. */
  #preferred = 0;

  constructor(globals: GlobalOptions) {
    this.#connections = globals.endpoints.map(connectTo);
    this.#token = globals.token;
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** A read, or a change that is harmless to repeat. */
  async unary<Response>(call: UnaryCall<Response>, requestId?: string): Promise<Response> {
    return this.anywhere((connection) => {
      const options = { deadline: Date.now() + ATTEMPT_TIMEOUT_MS };
      return new Promise<Response>((resolve, reject) => {
        call(connection, this.metadata(requestId), options, (error, response) => {
          if (error === null) resolve(response);
          else reject(error);
        });
      });
    });
  }

  /** Messages of a stream. Another server is tried only as long as none has come. */
  async *stream<Message>(call: StreamCall<Message>): AsyncGenerator<Message> {
    const { iterator, first } = await this.anywhere(async (connection) => {
      const messages = call(connection, this.metadata(), {});
      const opened: AsyncIterator<Message> = messages[Symbol.asyncIterator]();
      return { iterator: opened, first: await opened.next() };
    });
    try {
      for (let result = first; result.done !== true; result = await iterator.next()) yield result.value;
    } catch (error) {
      throw asCliError(error, this.#current.endpoint);
    } finally {
      await iterator.return?.();
    }
  }

  metadata(requestId?: string): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`);
    if (requestId !== undefined) metadata.set(REQUEST_ID_KEY, requestId);
    return metadata;
  }

  get #current(): Connection {
    const connection = this.#connections[this.#preferred];
    if (connection === undefined) throw new CliError('usage', 'no endpoint is named');
    return connection;
  }

  /**
   * Tries the servers in turn. While at least one is there but nobody leads, the round is repeated; where nobody
   * listens at all, the first round is the last.
   */
  async anywhere<Result>(attempt: (connection: Connection) => Promise<Result>): Promise<Result> {
    const giveUpMs = performance.now() + RETRY_WINDOW_MS;
    for (;;) {
      let anybodyThere = false;
      const failures: CliError[] = [];
      for (let turn = 0; turn < this.#connections.length; turn += 1) {
        const { endpoint } = this.#current;
        try {
          return await attempt(this.#current);
        } catch (error) {
          if (!isRetryable(error)) throw asCliError(error, endpoint);
          failures.push(asCliError(error, endpoint));
          anybodyThere ||= nobodyListensError(endpoint, error.details, error) === undefined;
          this.#preferred = (this.#preferred + 1) % this.#connections.length;
        }
      }
      if (!anybodyThere || performance.now() > giveUpMs) throw combined(failures);
      await delay(RETRY_PAUSE_MS);
    }
  }
}

function connectTo(endpoint: string): Connection {
  const options = {
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.initial_reconnect_backoff_ms': RETRY_PAUSE_MS,
    'grpc.max_reconnect_backoff_ms': 1_000,
  };
  const insecure = credentials.createInsecure();
  const channel = new Channel(endpoint, insecure, options);
  const shared = { channelOverride: channel };
  return {
    endpoint,
    config: new journal.ConfigServiceClient(endpoint, insecure, shared),
    appends: new journal.JournalAppendServiceClient(endpoint, insecure, shared),
    nodes: new journal.NodeServiceClient(endpoint, insecure, shared),
    audit: new journal.AuditServiceClient(endpoint, insecure, shared),
    cluster: new journal.ClusterServiceClient(endpoint, insecure, shared),
    overlays: new journal.OverlayServiceClient(endpoint, insecure, shared),
    query: new journal.JournalQueryServiceClient(endpoint, insecure, shared),
    policies: new policy.PolicyServiceClient(endpoint, insecure, shared),
    close: () => {
      channel.close();
    },
  };
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** Only what says that the call was not decided, and that another attempt may be. */
function isRetryable(error: unknown): error is ServiceError {
  return isServiceError(error) && (error.code === status.UNAVAILABLE || error.code === status.ABORTED);
}

function asCliError(error: unknown, endpoint: string): CliError {
  if (!isServiceError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return new CliError('failed', `${endpoint}: ${message}`, { cause: error });
  }
  const nobody = nobodyListensError(endpoint, error.details, error);
  if (nobody !== undefined) return nobody;
  const unknown = error.metadata.get(OUTCOME_KEY)[0] === 'unknown';
  const outcome = unknown ? ' (it may have been done all the same; look at the log before repeating it)' : '';
  return cliErrorOfStatus(error.code, `${endpoint}: ${error.details}${outcome}`, error);
}

function combined(failures: readonly CliError[]): CliError {
  const [first] = failures;
  if (first === undefined) return new CliError('unreachable', 'no endpoint answered');
  if (failures.length === 1) return first;
  const message = [...new Set(failures.map((failure) => failure.message))].join('; ');
  return new CliError('unreachable', message, { cause: first });
}
