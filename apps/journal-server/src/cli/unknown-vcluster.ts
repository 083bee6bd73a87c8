/** What to say where the journal knows no virtual cluster of a name. */
import type { JournalClient } from '@pact-journal/journal-client';
import { distance } from 'fastest-levenshtein';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { withJournal } from './journal.ts';

/** Known names that are offered at most. */
const NAMES_SHOWN = 3;

/** Longer than an operator wants to wait for a hint, in milliseconds. */
const HINT_DEADLINE_MS = 2000;

/** Does something with a virtual cluster; when there is none of that name, the error says which there are. */
export async function withVCluster<Result>(
  context: CliContext,
  vcluster: string,
  use: () => Promise<Result>,
): Promise<Result> {
  try {
    return await use();
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('there is no virtual cluster')) throw error;
    const known = await withJournal(context, knownVClusters).catch(() => []);
    throw new CliError('refused', unknownVCluster(vcluster, known), { cause: error });
  }
}

/** The names of all virtual clusters that the journal knows. */
export async function knownVClusters(journal: JournalClient): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { vcluster_id: name } of journal.overlays({ deadlineMs: HINT_DEADLINE_MS }))
    names.push(name);
  return names;
}

/** One line: there is none of that name, and what would be right. */
export function unknownVCluster(vcluster: string, known: readonly string[]): string {
  const first = `commit to it first: pact-journal commit --vcluster ${vcluster} -f FILE`;
  const what = `there is no virtual cluster ${JSON.stringify(vcluster)}`;
  if (known.length === 0) return `${what}; ${first}`;
  const byDistance = known
    .map((name) => ({ name, edits: distance(vcluster.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits)
    .map(({ name }) => name);
  const shown = byDistance.slice(0, NAMES_SHOWN).join(', ');
  const rest = known.length - NAMES_SHOWN;
  const more = rest > 0 ? ` and ${String(rest)} more (pact-journal overlay list)` : '';
  return `${what}, known are ${shown}${more}; name one of these, or ${first}`;
}
