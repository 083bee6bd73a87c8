import { credentials, Metadata } from '@grpc/grpc-js';
import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js';
import { stream } from '@pact-journal/journal-proto';
import { BootStreamError } from '../errors.ts';

export interface EndpointsOptions {
  /** Replicas, as `host:port`; any of them will do. At least one. */
  readonly endpoints: readonly string[];
  /** Default: plain text. */
  readonly credentials?: ChannelCredentials;
  readonly channelOptions?: ChannelOptions;
  /** A bearer token to send with every call. */
  readonly token?: string;
}

/** A replica and the connection to it. */
export interface Endpoint {
  readonly address: string;
  readonly client: stream.BootConfigServiceClient;
}

/** The replicas a client knows. The first choice is random, so that a storm spreads; what works is kept. */
export class Endpoints {
  readonly #endpoints: readonly Endpoint[];
  readonly #token: string | undefined;
  #preferred: number;

  constructor(options: EndpointsOptions) {
    if (options.endpoints.length === 0)
      throw new BootStreamError('invalidRequest', 'name at least one endpoint');
    const channelCredentials = options.credentials ?? credentials.createInsecure();
    this.#endpoints = options.endpoints.map((address) => ({
      address,
      client: new stream.BootConfigServiceClient(address, channelCredentials, {
        'grpc.max_receive_message_length': 4 * 1024 * 1024,
        'grpc.use_local_subchannel_pool': 1,
        'grpc.keepalive_time_ms': 30_000, // a replica that lost power says nothing
        ...options.channelOptions,
      }),
    }));
    this.#token = options.token;
    this.#preferred = Math.floor(Math.random() * this.#endpoints.length);
  }

  get count(): number {
    return this.#endpoints.length;
  }

  /** The endpoint to try as the nth, from 0. */
  at(attempt: number): Endpoint {
    const endpoint = this.#endpoints[(this.#preferred + attempt) % this.#endpoints.length];
    if (endpoint === undefined) throw new Error('assertion failed: there is an endpoint for every attempt');
    return endpoint;
  }

  /** Metadata for a call. */
  metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) metadata.set('authorization', `Bearer ${this.#token}`);
    return metadata;
  }

  prefer(endpoint: Endpoint): void {
    this.#preferred = this.#endpoints.indexOf(endpoint);
  }

  close(): void {
    for (const { client } of this.#endpoints) client.close();
  }
}
