import { Client, Metadata } from '@grpc/grpc-js';
import { REQUEST_ID_KEY } from '@pact-journal/journal-proto';
import { JournalClientError } from './errors.ts';
import type { ResolvedOptions } from './options.ts';

/** A server, and the one connection to it. */
export interface Endpoint {
  readonly address: string;
  readonly client: Client;
}

/** The servers that are named, and those that they have named. What worked last is tried first. */
export class Endpoints {
  readonly #options: ResolvedOptions;
  readonly #open = new Map<string, Endpoint>();
  #order: string[];
  #closed = false;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.#order = [...options.endpoints];
  }

  /** In the order in which to try them. */
  get addresses(): readonly string[] {
    return this.#order;
  }

  /** Opens the connection where it is not open yet. Fails with `closed`. */
  at(address: string): Endpoint {
    if (this.#closed) throw new JournalClientError('closed', 'the client was closed');
    let endpoint = this.#open.get(address);
    if (endpoint === undefined) {
      const client = new Client(address, this.#options.credentials, {
        'grpc.max_receive_message_length': this.#options.maxMessageBytes,
        'grpc.max_send_message_length': this.#options.maxMessageBytes,
        'grpc.initial_reconnect_backoff_ms': 50,
        'grpc.min_reconnect_backoff_ms': 50,
        'grpc.max_reconnect_backoff_ms': 1_000,
        // A server that lost power says nothing.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 5_000,
        'grpc.enable_retries': 0,
        ...this.#options.channelOptions,
      });
      endpoint = { address, client };
      this.#open.set(address, endpoint);
    }
    return endpoint;
  }

  /** It answered: the next call begins with it. */
  prefer(address: string): void {
    if (this.#order[0] === address || !this.#order.includes(address)) return;
    this.#order = [address, ...this.#order.filter((other) => other !== address)];
  }

  /** It did not: the others are tried before it. */
  defer(address: string): void {
    if (this.#order.length < 2 || !this.#order.includes(address)) return;
    this.#order = [...this.#order.filter((other) => other !== address), address];
  }

  /** For a call, with a token that is valid now. */
  async metadata(requestId?: string): Promise<Metadata> {
    const metadata = new Metadata();
    const token = await this.#options.token();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    if (requestId !== undefined) metadata.set(REQUEST_ID_KEY, requestId);
    return metadata;
  }

  close(): void {
    this.#closed = true;
    for (const { client } of this.#open.values()) client.close();
    this.#open.clear();
  }
}
