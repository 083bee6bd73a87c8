import type { ServerHttp2Session } from 'node:http2';

/**
 * Pings a connection every `intervalMs` and drops it when an answer takes longer than `timeoutMs`: a peer that lost
 * power says nothing. Returns how to stop.
 */
export function keepAlive(session: ServerHttp2Session, intervalMs: number, timeoutMs: number): () => void {
  let answerTimer: NodeJS.Timeout | undefined;
  const interval = setInterval(() => {
    if (session.destroyed || answerTimer !== undefined) return;
    answerTimer = setTimeout(() => session.destroy(), timeoutMs).unref();
    const sent = session.ping(() => {
      clearTimeout(answerTimer);
      answerTimer = undefined;
    });
    if (!sent) session.destroy();
  }, intervalMs).unref();
  return () => {
    clearInterval(interval);
    clearTimeout(answerTimer);
  };
}
