/** A thread that gives up with the third thing that it is asked for. */
import { parentPort } from 'node:worker_threads';

let asked = 0;
parentPort?.on('message', () => {
  asked += 1;
  if (asked === 3) process.exit(1);
});
