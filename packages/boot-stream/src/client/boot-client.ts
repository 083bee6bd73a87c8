import type { VClusterPolicy } from '@pact-journal/journal-state';
import { BootStreamError } from '../errors.ts';
import { DATA_SIZE_BYTES_MAX, RAW_SIZE_BYTES_MAX } from '../limits.ts';
import { MIN_SEQUENCE_KEY } from '../metadata.ts';
import { decompressBounded, effectiveConfig, parseDelta, parseOverlay, verifyChecksum } from './decode.ts';
import type { NodeConfig } from './decode.ts';
import { Endpoints } from './endpoints.ts';
import type { Endpoint, EndpointsOptions } from './endpoints.ts';
import { backoffMs, delay, fromServiceError, isRetryable } from './failures.ts';
import { receiveBoot } from './receive.ts';
import type { ReceivedOverlay } from './receive.ts';
import { followUpdates } from './subscribe.ts';
import type { ConfigUpdate, SubscribeOptions } from './subscribe.ts';

export interface BootClientOptions extends EndpointsOptions {
  /** How long a boot may take with all its attempts, in ms. Default 60,000. */
  readonly deadlineMs?: number;
  /** How long one attempt may take before another replica is tried, in ms. Default 20,000. */
  readonly attemptMsMax?: number;
  /**
   * Attempts at each replica. Default 5. One that says that it is overloaded does not count: the client comes back as
   * often as the deadline allows.
   */
  readonly attemptsPerEndpointMax?: number;
  /** Compressed overlay and delta each, in bytes. Default 16 MiB. */
  readonly dataSizeBytesMax?: number;
  /** The overlay once decompressed, in bytes. Default 64 MiB. */
  readonly rawSizeBytesMax?: number;
}

export interface BootOptions {
  readonly nodeId: string;
  /** Default: the one that the node is assigned to. */
  readonly vclusterId?: string;
  /** The overlay of an earlier boot: it is not sent again while it is current. */
  readonly known?: ReceivedOverlay;
  /** Take no state older than the one that has applied this sequence. */
  readonly minSequence?: number;
  readonly signal?: AbortSignal;
}

/** A boot's data, verified but not unpacked. */
export interface FetchedBoot {
  readonly nodeId: string;
  readonly vclusterId: string;
  /** Sequence that the overlay is of. */
  readonly baseVersion: number;
  /** Latest sequence of the node's own scope; 0 where there is none. */
  readonly nodeVersion: number;
  readonly overlay: ReceivedOverlay;
  /** False: the known overlay was current. */
  readonly overlaySent: boolean;
  readonly overlayChecksum: string;
  readonly overlaySizeBytes: number;
  readonly delta: Uint8Array;
  readonly deltaSizeBytes: number;
  /** The replica that served it, and the attempts that it took, from 1. */
  readonly endpoint: string;
  readonly attempts: number;
  /** From the call to the end, all attempts included, in ms. */
  readonly durationMs: number;
  /** Of the attempt that succeeded, from its start, in ms. */
  readonly firstMessageMs: number;
  readonly overlayMs: number;
}

export interface BootResult extends FetchedBoot {
  readonly policy: VClusterPolicy;
  /** What the node is to look like: the overlay with the node's delta on top. */
  readonly config: NodeConfig;
}

/**
 * Boots nodes from whichever replica answers. Everything is verified; whatever a replica gets wrong, or does not get
 * done, another one is asked. Fails with {@link BootStreamError}.
 */
export class BootClient {
  readonly #options: BootClientOptions;
  readonly #endpoints: Endpoints;

  constructor(options: BootClientOptions) {
    this.#options = options;
    this.#endpoints = new Endpoints(options);
  }

  /** Streams both phases, verifies them, and works out the node's effective configuration. */
  async boot(options: BootOptions): Promise<BootResult> {
    return this.#attempt(options, (fetched) => {
      const { rawSizeBytesMax = RAW_SIZE_BYTES_MAX } = this.#options;
      const overlay = parseOverlay(decompressBounded(fetched.overlay.data, rawSizeBytesMax));
      if (overlay.vcluster_id !== fetched.vclusterId) {
        throw new BootStreamError(
          'corrupt',
          `the overlay of ${JSON.stringify(fetched.vclusterId)} says that it is of ${JSON.stringify(overlay.vcluster_id)}`,
        );
      }
      return {
        ...fetched,
        policy: overlay.policy,
        config: effectiveConfig(overlay, parseDelta(fetched.delta)),
      };
    });
  }

  /** Streams both phases and verifies them; unpacks nothing. For load generators and caches. */
  async fetch(options: BootOptions): Promise<FetchedBoot> {
    return this.#attempt(options, (fetched) => fetched);
  }

  /** Follows updates for as long as the loop goes on, across failures of replicas, without gap or repeat. */
  subscribe(options: SubscribeOptions): AsyncGenerator<ConfigUpdate, void> {
    return followUpdates(this.#endpoints, options);
  }

  /** Closes the connections. Calls under way fail. */
  close(): void {
    this.#endpoints.close();
  }

  async #attempt<Result>(options: BootOptions, finish: (fetched: FetchedBoot) => Result): Promise<Result> {
    const { deadlineMs = 60_000, attemptsPerEndpointMax = 5 } = this.#options;
    const startedMs = performance.now();
    const endMs = startedMs + deadlineMs;
    let counted = 0;
    for (let attempt = 1; ; attempt += 1) {
      const endpoint = this.#endpoints.at(attempt - 1);
      try {
        const result = finish(await this.#fetchFrom(endpoint, options, startedMs, endMs, attempt));
        this.#endpoints.prefer(endpoint);
        return result;
      } catch (error) {
        const failure = fromServiceError(error, endpoint.address);
        if (failure.code !== 'overloaded') counted += 1;
        const waitMs = this.#waitMs(attempt, failure);
        const givesUp =
          !isRetryable(failure) ||
          options.signal?.aborted === true ||
          counted >= attemptsPerEndpointMax * this.#endpoints.count ||
          performance.now() + waitMs >= endMs;
        if (givesUp) throw failure;
        await delay(waitMs, options.signal);
      }
    }
  }

  /** Each replica is tried once without delay, then they get time. */
  #waitMs(attempt: number, failure: BootStreamError): number {
    const round = Math.floor(attempt / this.#endpoints.count);
    if (round === 0) return 0;
    return Math.max(backoffMs(round, 100, 5_000), failure.retryAfterMs ?? 0);
  }

  async #fetchFrom(
    endpoint: Endpoint,
    options: BootOptions,
    startedMs: number,
    endMs: number,
    attempts: number,
  ): Promise<FetchedBoot> {
    const { attemptMsMax = 20_000, dataSizeBytesMax = DATA_SIZE_BYTES_MAX } = this.#options;
    const { nodeId, vclusterId = '', known, minSequence, signal } = options;
    if (signal?.aborted === true) throw new BootStreamError('cancelled', 'the caller gave up');
    const metadata = this.#endpoints.metadata();
    if (minSequence !== undefined) metadata.set(MIN_SEQUENCE_KEY, String(minSequence));
    const attemptStartedMs = performance.now();
    const timeoutMs = Math.min(attemptMsMax, endMs - attemptStartedMs);
    const call = endpoint.client.streamBootConfig(
      { nodeId, vclusterId, lastKnownVersion: known?.version },
      metadata,
      { deadline: Date.now() + timeoutMs },
    );
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      const {
        overlay: sent,
        nodeDelta,
        complete,
        firstMessageMs,
        overlayMs,
      } = await receiveBoot(call, dataSizeBytesMax);
      const overlay = sent ?? known;
      if (overlay === undefined || overlay.version !== complete.baseVersion || nodeDelta.nodeId !== nodeId) {
        throw new BootStreamError('corrupt', `${endpoint.address} sent what was not asked for`);
      }
      if (sent !== undefined) verifyChecksum(sent.data, sent.checksum, 'overlay');
      verifyChecksum(nodeDelta.data, nodeDelta.checksum, 'node delta');
      return {
        nodeId,
        vclusterId: overlay.vcluster_id,
        baseVersion: complete.baseVersion,
        nodeVersion: complete.nodeVersion,
        overlay,
        overlaySent: sent !== undefined,
        overlayChecksum: overlay.checksum,
        overlaySizeBytes: overlay.data.byteLength,
        delta: nodeDelta.data,
        deltaSizeBytes: nodeDelta.data.byteLength,
        endpoint: endpoint.address,
        attempts,
        durationMs: performance.now() - startedMs,
        firstMessageMs: firstMessageMs - attemptStartedMs,
        overlayMs: overlayMs - attemptStartedMs,
      };
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }
}
