/** The backup that a command is about. */
import { Repository } from '../backup/format/repository.ts';
import { openStore } from '../backup/store/open-store.ts';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { withJournal } from './journal.ts';

/** Opens the backup at an address; without one, where the reached cluster exports to. */
export async function withRepository<Result>(
  context: CliContext,
  address: string | undefined,
  use: (repository: Repository) => Promise<Result>,
): Promise<Result> {
  const store = await openStore(address ?? (await configuredAddress(context)));
  try {
    return await use(new Repository(store));
  } finally {
    store.close();
  }
}

async function configuredAddress(context: CliContext): Promise<string> {
  const { url } = await withJournal(context, (journal) => journal.backupStatus());
  if (url !== '') return url;
  throw new CliError('usage', 'the cluster exports no backup; name one, for example file:///mnt/backup');
}
