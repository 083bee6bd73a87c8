import { parentPort } from 'node:worker_threads';

/** Dies of contents that begin with 1. */
parentPort.on('message', ({ id, content }) => {
  if (content[0] === 1) throw new Error('as asked');
  parentPort.postMessage({ id, ok: true, data: content, checksum: 'survived' });
});
