/** A running journal, as its clients see it: every entry and operation is read and hashed here. */
import { hash } from 'node:crypto';
import { canonicalJson, type EntrySeq } from '@pact-journal/journal-state';
import type { JournalClient } from '@pact-journal/journal-client';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { withJournal } from '../journal.ts';
import { verifyOverlay } from '../overlay-verification.ts';
import { answersAt, compareReplicas } from '../replicas.ts';
import { report, type Chain } from './report.ts';

/** The predecessor of the first: the hash of nothing. */
const EMPTY_HASH = `sha256:${hash('sha256', '', 'hex')}`;
const COMPARE_TIMEOUT_MS = 10_000;

export async function verifyJournal(context: CliContext, expect: string | undefined): Promise<void> {
  await withJournal(context, async (journal) => {
    const status = await journal.status();
    const before = await journal.digest();
    const findings: string[] = [];
    const hashes = new Map<string, number>();
    const entries = await follow(
      'entry',
      before.entries === 0 ? [] : journal.entries({ to_sequence: (before.entries - 1) as EntrySeq }),
      ({ sequence }) => sequence,
      findings,
      (text, sequence) => hashes.set(text, sequence),
    );
    const operations = await follow(
      'operation',
      journal.operations({}),
      ({ audit_sequence }) => audit_sequence,
      findings,
    );
    if (entries.count !== before.entries || entries.headHash !== before.head_hash)
      findings.push(
        `the chain ends with ${entries.headHash} after ${String(entries.count)} entries, the node says ${before.head_hash} after ${String(before.entries)}`,
      );
    const overlays = await checkOverlays(journal, findings);
    const { said: replicas, unchecked } = await compareAll(context, findings);
    for (const alarm of status.alarms)
      if (alarm.code === 'digestMismatch' || alarm.code === 'replicaDiffers') findings.push(alarm.message);
    const chain: Chain = {
      entries: entries.count,
      operations: operations.count,
      headHash: entries.headHash,
      digest: before.digest,
      find: (text) => hashes.get(text),
    };
    report(
      context,
      {
        target: context.globals.endpoints.join(','),
        kind: 'journal',
        clusterId: status.cluster_id,
        findings,
        unchecked,
        chain,
        details: [
          ['overlays', `${String(overlays)} hold what the journal declares`],
          ['replicas', replicas.length === 0 ? 'one' : replicas.join('; ')],
        ],
        fields: { overlays, replicas },
      },
      expect,
    );
  });
}

interface Hashed {
  readonly hash: string;
}

/** Recomputes a chain. The first break is a finding; what follows is not looked at any more. */
async function follow<Item extends Hashed>(
  what: string,
  items: AsyncIterable<Item> | Iterable<Item>,
  sequenceOf: (item: Item) => number,
  findings: string[],
  visit?: (hash: string, sequence: number) => void,
): Promise<{ readonly count: number; readonly headHash: string }> {
  let headHash = EMPTY_HASH;
  let count = 0;
  for await (const item of items) {
    const { hash: claimed, ...rest } = item;
    const actual = `sha256:${hash('sha256', headHash + canonicalJson(rest), 'hex')}`;
    if (sequenceOf(item) !== count || actual !== claimed) {
      findings.push(
        `${what} ${String(sequenceOf(item))} does not have the hash that follows from it and its predecessor`,
      );
      break;
    }
    headHash = claimed;
    visit?.(claimed, count);
    count += 1;
  }
  return { count, headHash };
}

async function checkOverlays(journal: JournalClient, findings: string[]): Promise<number> {
  let count = 0;
  for await (const { vcluster_id: vclusterId, stale } of journal.overlays()) {
    if (stale) continue;
    try {
      await verifyOverlay(journal, vclusterId);
      count += 1;
    } catch (error) {
      if (!(error instanceof CliError) || error.code !== 'damaged') throw error;
      findings.push(error.message);
    }
  }
  return count;
}

/** Every member's digest against that of the first that answers, at an index that the two have in common. */
async function compareAll(
  context: CliContext,
  findings: string[],
): Promise<{ readonly said: readonly string[]; readonly unchecked: readonly string[] }> {
  const members = await withJournal(context, (journal) => journal.members());
  const answers = await Promise.all(members.map(async ({ grpc }) => answersAt(context, grpc)));
  const answering = members.filter((_member, at) => answers[at] === true);
  const unchecked = members.flatMap(({ id }, at) =>
    answers[at] === true ? [] : [`node ${String(id)} does not answer, so its state was not compared`],
  );
  const said: string[] = [];
  const [first, ...others] = answering;
  for (const other of first === undefined ? [] : others) {
    const pair = `node ${String(first?.id)} and node ${String(other.id)}`;
    const comparison = await compareReplicas(context, first?.grpc ?? '', other.grpc, COMPARE_TIMEOUT_MS);
    if (comparison === 'differ') findings.push(`the states of ${pair} differ at the same log index`);
    if (comparison === 'not comparable') unchecked.push(`${pair} never said the same log index`);
    said.push(`${pair}: ${comparison}`);
  }
  return { said, unchecked };
}
