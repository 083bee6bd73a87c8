import type { ServerHttp2Stream } from 'node:http2';

const brokenOff = new WeakSet<ServerHttp2Stream>();

/** Resets a stream that cannot be ended in good order. */
export function breakOff(stream: ServerHttp2Stream, code: number): void {
  if (!stream.closed) brokenOff.add(stream);
  stream.close(code);
}

/** Whether the server itself reset it: the code of a reset does not tell, a client sends which it likes. */
export function isBrokenOff(stream: ServerHttp2Stream): boolean {
  return brokenOff.has(stream);
}
