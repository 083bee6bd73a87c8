import { createServer } from 'node:net';
import { formatAddress, type Address } from '../config/index.ts';
import { ServerError, systemCode } from './errors.ts';
import { portHolder } from './port-holder.ts';

/** An address to listen on, and the flag that changes it. */
export interface Listener {
  readonly address: Address;
  /** What listens there, for example `gRPC`. */
  readonly purpose: string;
  /** For example `--listen-grpc`. */
  readonly flag: string;
}

/**
 * Finds out whether the addresses can be listened on, before anything else is opened, so that the operator reads about
 * the port and not about what failed because of it. Fails with {@link ServerError} `portInUse` or `cannotListen`.
 */
export async function checkListeners(listeners: readonly Listener[]): Promise<void> {
  for (const listener of listeners) {
    try {
      await tryListening(listener.address);
    } catch (error) {
      throw await listenError(listener, error);
    }
  }
}

function tryListening(address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: address.host, port: address.port, exclusive: true }, () => {
      server.close(() => {
        resolve();
      });
    });
  });
}

/** Puts into words why an address cannot be listened on. */
export async function listenError(listener: Listener, error: unknown): Promise<ServerError> {
  const { address, purpose, flag } = listener;
  if (systemCode(error) === 'EADDRINUSE') {
    const holder = await portHolder(address.port);
    const who =
      holder === undefined ? 'another process' : `process ${String(holder.pid)} (${holder.command})`;
    const message = `port ${String(address.port)} for ${purpose} is taken by ${who}; stop that, or choose another port with ${flag}`;
    return new ServerError('portInUse', message, { cause: error });
  }
  const reason = {
    EADDRNOTAVAIL: 'this machine has no such address',
    EACCES: 'permission denied',
    ENOTFOUND: 'there is no such host',
  };
  const code = systemCode(error) ?? '';
  const why = Object.entries(reason).find(([name]) => name === code)?.[1] ?? (code || String(error));
  return new ServerError(
    'cannotListen',
    `cannot listen on ${formatAddress(address)} for ${purpose}: ${why}; choose another address with ${flag}`,
    { cause: error },
  );
}
