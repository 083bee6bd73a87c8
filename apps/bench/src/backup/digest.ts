/** What the comparison of replicas costs: a digest every 256 entries, and one a second. */
import { toLogIndex, toTerm, type Entry } from '@pact-journal/raft-core';
import { command, JournalMachine } from '../journal-load/commands.ts';

export interface DigestFigures {
  /** To apply one command, alone in its batch. */
  readonly applyUs: number;
  /** To compute the digest after it. */
  readonly digestUs: number;
}

const WARM_UP = 20_000;
const MEASURED = 20_000;

export function measureDigest(): DigestFigures {
  const machine = new JournalMachine();
  const spent = { applyMs: 0, digestMs: 0 };
  for (let at = 0; at < WARM_UP + MEASURED; at += 1) {
    const entry: Entry = { index: toLogIndex(at + 1), term: toTerm(1), type: 'normal', data: command(at) };
    const startedMs = performance.now();
    machine.apply([entry]);
    const appliedMs = performance.now();
    machine.state.digest();
    if (at < WARM_UP) continue;
    spent.applyMs += appliedMs - startedMs;
    spent.digestMs += performance.now() - appliedMs;
  }
  return { applyUs: (spent.applyMs * 1_000) / MEASURED, digestUs: (spent.digestMs * 1_000) / MEASURED };
}
