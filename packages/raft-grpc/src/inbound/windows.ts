/** How much of what peers send may be under way. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

/** Published by node:http2 from Node 24.2 on. */
const STREAM_CREATED = 'http2.server.stream.created';

/**
 * Gives the sessions of the server at `port` windows of `sizeBytes`, until it is told to stop. HTTP/2 begins with 64 KiB
 * for a connection and for each stream, and a larger append then halts on its way until the follower has said that it
 * takes more, several times for some hundred entries. grpc-js has an option for it that only its clients know, and
 * shows nobody the sessions of its server; Node tells of every stream. On older versions the first windows stay.
 */
export function widenWindows(port: number, sizeBytes: number): () => void {
  const widened = new WeakSet<ServerHttp2Session>();
  const onStream = (message: unknown): void => {
    const { session } = (message as { readonly stream: ServerHttp2Stream }).stream;
    if (session === undefined || session.destroyed || session.socket.localPort !== port) return;
    const serverSession = session as ServerHttp2Session;
    if (widened.has(serverSession)) return;
    widened.add(serverSession);
    serverSession.setLocalWindowSize(sizeBytes);
    serverSession.settings({ initialWindowSize: sizeBytes });
  };
  subscribe(STREAM_CREATED, onStream);
  return () => unsubscribe(STREAM_CREATED, onStream);
}
