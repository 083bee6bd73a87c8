/** Comparing the states of two members from outside. */
import type { StateDigest } from '@pact-journal/journal-client';
import type { CliContext } from './context.ts';
import { withJournal } from './journal.ts';

const PAUSE_MS = 100;

/** `not comparable`: one of them does not answer, or they never said the same log index within the time. */
export type Comparison = 'equal' | 'differ' | 'not comparable';

/** Compares two members, by where they serve clients, as soon as they are at the same log index. */
export async function compareReplicas(
  context: CliContext,
  left: string,
  right: string,
  timeoutMs: number,
): Promise<Comparison> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const [a, b] = await Promise.all([digestOf(context, left), digestOf(context, right)]);
    if (a !== undefined && b !== undefined && a.applied_index === b.applied_index)
      return a.digest === b.digest ? 'equal' : 'differ';
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return 'not comparable';
}

/** Whether a member says its digest now; one without an address does not. */
export async function answersAt(context: CliContext, endpoint: string): Promise<boolean> {
  return endpoint !== '' && (await digestOf(context, endpoint)) !== undefined;
}

async function digestOf(context: CliContext, endpoint: string): Promise<StateDigest | undefined> {
  // One that does not answer now may be starting.
  return withJournal(context, (journal) => journal.digest(), [endpoint]).catch(() => undefined);
}
