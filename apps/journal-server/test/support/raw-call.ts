/** Calls by path, so that a test can call what no stub has, on one connection or many. */
import { Client, Metadata, type ChannelCredentials, type ServiceError, type status } from '@grpc/grpc-js';

/** How a call ended. */
export interface Ended {
  readonly code: status;
  readonly details: string;
  /** What the refusal says for programs; undefined where the call was not refused by authentication. */
  readonly reason: string | undefined;
}

const asIs = (message: Buffer): Buffer => message;

/** Sends one message, reads all that comes, and tells how it ended. Works for methods of every kind. */
export function callPath(
  client: Client,
  path: string,
  message: Uint8Array = new Uint8Array(),
  metadata: Metadata = new Metadata(),
  timeoutMs = 10_000,
): Promise<Ended> {
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(path, asIs, asIs, metadata, {
      deadline: Date.now() + timeoutMs,
    });
    let failure: ServiceError | undefined;
    call.on('data', () => undefined);
    call.on('error', (error: ServiceError) => {
      failure = error;
    });
    call.on('status', ({ code, details, metadata: trailers }) => {
      const [reason] = (failure?.metadata ?? trailers).get('x-pact-auth-reason');
      resolve({ code, details, reason: reason?.toString() });
    });
    call.end(Buffer.from(message));
  });
}

/** `serverName`: the one to expect in the server's certificate instead of the address. */
export function clientOf(address: string, credentials: ChannelCredentials, serverName?: string): Client {
  return new Client(address, credentials, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
  });
}
