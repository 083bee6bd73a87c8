/** `pact-journal verify`: proves that no entry was changed or removed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { IDENTITY_KEY } from '../../backup/format/keys.ts';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { withRepository } from '../repository.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('verify')
    .description(
      'Prove a journal whole: the hash chain of all entries and operations, the digest of the state, every checksum, and ' +
        'the overlays against what is declared. Of a running journal (--endpoint), of the data directory of a stopped ' +
        'node, or of a backup. Changes nothing.',
    )
    .argument(
      '[target]',
      'a data directory, or a backup: s3://..., file://... or its directory; none: the reached journal',
    )
    .option(
      '--expect <hash>',
      'fail unless the chain contains an entry with this hash, for example an earlier head',
    )
    .action(async (target: string | undefined, { expect }: { readonly expect?: string }) => {
      if (target === undefined) {
        const { verifyJournal } = await import('../verification/journal.ts');
        return verifyJournal(context, expect);
      }
      if (existsSync(join(target, 'raft'))) {
        const { verifyDirectory } = await import('../verification/directory.ts');
        return verifyDirectory(context, target, expect);
      }
      if (!target.includes('://') && !existsSync(join(target, IDENTITY_KEY))) {
        throw new CliError(
          'usage',
          `${target}: is neither a data directory (no folder "raft") nor a backup (no ${IDENTITY_KEY})`,
        );
      }
      const { verifyRepository } = await import('../verification/backup.ts');
      return withRepository(context, target, (repository) => verifyRepository(context, repository, expect));
    });
}
