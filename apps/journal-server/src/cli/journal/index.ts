/** A connection to the journal for the time of a command. */
import type { CliContext } from '../context.ts';
import type { Journal } from './types.ts';

export type * from './types.ts';

/** Connects to the endpoints that the options name, and closes whatever happens. gRPC is loaded only now. */
export async function withJournal<Result>(
  context: CliContext,
  use: (journal: Journal) => Promise<Result>,
): Promise<Result> {
  const [{ Calls }, { GrpcJournal }] = await Promise.all([import('./calls.ts'), import('./grpc-journal.ts')]);
  const calls = new Calls(context.globals);
  try {
    return await use(new GrpcJournal(calls));
  } finally {
    calls.close();
  }
}
