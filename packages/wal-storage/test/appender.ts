/**
 * A process to be killed: appends to a log for ever, some appends of one entry and some of many, truncating and
 * compacting now and then, and says on stdout what was acknowledged.
 *
 * Arguments: the data directory. Output, a line each: `open LAST`, `ack INDEX TERM`, `cut INDEX` (entries from there on
 * are being replaced), `failed MESSAGE`.
 */
import { writeSync } from 'node:fs';
import type { Entry } from '@pact-journal/raft-core';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import { openWalStorage } from '../src/index.ts';

const say = (text: string): void => {
  writeSync(1, `${text}\n`);
};

function entries(from: number, count: number, term: number): Entry[] {
  return Array.from({ length: count }, (_, offset) => ({
    index: toLogIndex(from + offset),
    term: toTerm(term),
    type: 'normal',
    data: Buffer.from(JSON.stringify({ index: from + offset, term, padding: 'x'.repeat((from * 37) % 900) })),
  }));
}

try {
  const { log } = openWalStorage({
    dataDir: process.argv[2] ?? '',
    clusterId: 'c',
    nodeId: 1,
    payload: 'json',
  });
  const { lastIndex, hardState } = await log.open();
  say(`open ${lastIndex}`);
  const term = hardState.term + 1;
  let next = lastIndex + 1;
  for (let turn = 0; ; turn++) {
    let count = turn % 5 === 0 ? 1 + ((turn * 7) % 60) : 1;
    if (turn % 11 === 10 && next - 3 >= log.firstIndex()) {
      next -= 3;
      count = 2;
      say(`cut ${next}`);
    }
    const state = { term: toTerm(term), vote: toNodeId(1), commit: toLogIndex(0) };
    await log.append({ entries: entries(next, count, term), hardState: state, mustSync: true });
    next += count;
    say(`ack ${next - 1} ${term}`);
  }
} catch (error) {
  say(`failed ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
