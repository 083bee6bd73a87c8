import type { Frame } from '../wire/frames.ts';

/** A call as boots and subscriptions see it, whichever server it came through. */
export interface ServerCall {
  /** Sends the response headers, unless they were sent. */
  sendHeaders(): void;
  /** Queues one message. False: enough is queued, wait for `onDrain`. Nothing happens on a closed call. */
  write(frame: Frame): boolean;
  /** Sends the status and closes. `closing`: further messages (frames, one after another) to go before it. */
  end(status: CallStatus, closing?: readonly Uint8Array[]): void;
  /** Closes without ado, for a reader that does not read. */
  abort(): void;
  /** Called whenever there is room again. One listener. */
  onDrain: (() => void) | undefined;
  /** Called once, when the call is over for whatever reason. One listener. */
  onClose: (() => void) | undefined;
  readonly closed: boolean;
  /** Where calls have to wait, those of the same share take turns with those of others. */
  readonly share: unknown;
}

/** How a call ends: a gRPC status with its trailers. */
export interface CallStatus {
  readonly code: number;
  readonly message: string;
  readonly trailers: Readonly<Record<string, string>>;
}

export const OK: CallStatus = { code: 0, message: '', trailers: {} };
