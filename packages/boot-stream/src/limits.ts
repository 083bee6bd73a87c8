/** Overlay bytes in one message. Clients receive up to 4 MiB by default. */
export const CHUNK_SIZE_BYTES_MAX = 1024 * 1024;

/** A boot or subscription request as a message; a valid one has less than 600 bytes. */
export const REQUEST_SIZE_BYTES_MAX = 64 * 1024;

/** What a boot client inflates at most, in bytes; no overlay builder makes more. */
export const RAW_SIZE_BYTES_MAX = 64 * 1024 * 1024;

/** Compressed overlay and delta each, as a client accepts them, in bytes. */
export const DATA_SIZE_BYTES_MAX = 16 * 1024 * 1024;

export interface BootLimits {
  /** Boot streams open at once; the next is refused with RESOURCE_EXHAUSTED. */
  readonly bootStreamsMax: number;
  /** Subscriptions open at once. */
  readonly subscribersMax: number;
  /** How long a boot may take, in ms, when its client sets no earlier deadline: a stalled reader gives up its place. */
  readonly bootDurationMsMax: number;
  /** How long a boot waits for this replica to apply the sequence that the client asked for, in ms. */
  readonly fenceWaitMsMax: number;
  /** Centre of the hint in `retry-after-ms`; clients get 50 to 150 % of it, so that they do not all come back at once. */
  readonly retryAfterMs: number;
  /** How far a live subscriber may fall behind before it is cut off, in bytes of updates. */
  readonly subscriberLagBytesMax: number;
}

export const DEFAULT_BOOT_LIMITS: BootLimits = {
  bootStreamsMax: 15_000,
  subscribersMax: 20_000,
  bootDurationMsMax: 300_000,
  fenceWaitMsMax: 5_000,
  retryAfterMs: 1_000,
  subscriberLagBytesMax: 1024 * 1024,
};
