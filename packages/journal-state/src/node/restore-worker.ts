/** Entry of a restore's second thread. Not meant to be imported: {@link RestoreThread} starts it. */
import { parentPort } from 'node:worker_threads';
import { findBrokenLink } from '../log/chain-stretch.ts';
import type { ChainStretch } from '../log/chain-stretch.ts';
import { nativeSha256 } from './native-sha256.ts';

/** What the thread is asked for: new memory, or a verdict about a stretch in memory that it gives back. */
export type RestoreRequest =
  | { readonly type: 'memory'; readonly sizeBytes: number }
  | {
      readonly type: 'stretch';
      readonly stretch: Omit<ChainStretch, 'bytes'>;
      readonly memory: Uint8Array<ArrayBuffer>;
      /** What of the memory is the stretch. */
      readonly sizeBytes: number;
    };

export type RestoreReply =
  | { readonly type: 'memory'; readonly memory: Uint8Array<ArrayBuffer> }
  | {
      readonly type: 'verdict';
      readonly first: number;
      /** Position of the first record whose hash is wrong; -1 where there is none. */
      readonly broken: number;
      readonly memory: Uint8Array<ArrayBuffer>;
    };

/** At first use, the operating system provides memory page by page: that takes time, which is spent here. */
function touched(sizeBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(sizeBytes).fill(0);
}

function answer(request: RestoreRequest): RestoreReply {
  if (request.type === 'memory') return { type: 'memory', memory: touched(request.sizeBytes) };
  const { stretch, memory, sizeBytes } = request;
  const broken = findBrokenLink({ ...stretch, bytes: memory.subarray(0, sizeBytes) }, nativeSha256);
  return { type: 'verdict', first: stretch.first, broken, memory };
}

const port = parentPort;
port?.on('message', (request: RestoreRequest) => {
  const reply = answer(request);
  port.postMessage(reply, [reply.memory.buffer]);
});
