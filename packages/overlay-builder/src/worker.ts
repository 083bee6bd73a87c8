/** Entry of the compression thread. Not meant to be imported: {@link WorkerCompressor} starts it. */
import { parentPort } from 'node:worker_threads';
import type { CompressionReply, CompressionRequest } from './worker-protocol.ts';
import { compressContent } from './zstd.ts';

const port = parentPort;
port?.on('message', ({ id, content }: CompressionRequest) => {
  let reply: CompressionReply;
  try {
    reply = { id, ok: true, ...compressContent(content) };
  } catch (error) {
    reply = { id, ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(reply, reply.ok ? [reply.data.buffer] : []);
});
