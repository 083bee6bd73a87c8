/** A connection to the journal for the time of a command. */
import type { JournalClient } from '@pact-journal/journal-client';
import { channelOf } from './channel.ts';
import type { CliContext } from './context.ts';

/**
 * Connects to the endpoints that the options name, or to those given, and closes whatever happens. gRPC is loaded only
 * now.
 */
export async function withJournal<Result>(
  context: CliContext,
  use: (journal: JournalClient) => Promise<Result>,
  endpoints = context.globals.endpoints,
): Promise<Result> {
  const { JournalClient: Client } = await import('@pact-journal/journal-client');
  // Somebody waits at a terminal: where nobody listens at all, say so at once.
  const journal = new Client({
    endpoints,
    unreachableTimeoutMs: 0,
    ...(await channelOf(context.globals)),
  });
  try {
    return await use(journal);
  } finally {
    journal.close();
  }
}
