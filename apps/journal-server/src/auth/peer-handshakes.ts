/** Handshakes on the Raft port that fail: grpc-js, whose listener it is, keeps them to itself. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Server, type TLSSocket } from 'node:tls';

export type PeerHandshakeFailure = 'peerTlsVersion' | 'peerCertificate' | 'peerTlsHandshake';

/** Where Node tells of every server that begins to listen, right before it does. */
const LISTENING = 'tracing:net.server.listen:asyncStart';

/** Tells of failed handshakes of a TLS server of this process that listens on the port from now on. Returns its end. */
export function watchPeerHandshakes(
  port: number,
  onFailure: (failure: PeerHandshakeFailure) => void,
): () => void {
  const servers = new Set<Server>();
  const failed = (error: Error, socket: TLSSocket): void => {
    onFailure(failureOf(error, socket));
  };
  const listening = (message: unknown): void => {
    const server = listenerAt(port, message);
    if (server === undefined) return;
    servers.add(server);
    server.on('tlsClientError', failed);
  };
  subscribe(LISTENING, listening);
  return () => {
    unsubscribe(LISTENING, listening);
    for (const server of servers) server.off('tlsClientError', failed);
  };
}

function listenerAt(port: number, message: unknown): Server | undefined {
  if (!isRecord(message) || !isRecord(message['options'])) return undefined;
  const { server } = message;
  return server instanceof Server && message['options']['port'] === port ? server : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function failureOf(error: Error, socket: TLSSocket): PeerHandshakeFailure {
  const code = 'code' in error ? String(error.code) : '';
  if (/VERSION|PROTOCOL/.test(code)) return 'peerTlsVersion';
  // That a certificate was sent and is not good shows in the connection alone.
  const verification: unknown = socket.authorizationError;
  return Boolean(verification) || code.includes('CERT') ? 'peerCertificate' : 'peerTlsHandshake';
}
