/** `pact-journal overlay`: the pre-computed configuration that a virtual cluster's nodes boot from. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import type { OverlayInfo } from '@pact-journal/journal-client';
import { withJournal } from '../journal.ts';
import { withVCluster } from '../unknown-vcluster.ts';
import { formatBytes, printFields, printTable } from '../tables.ts';

export function register(program: Command, context: CliContext): void {
  const overlay = program.command('overlay').description('Show, rebuild and verify boot overlays.');

  overlay
    .command('show')
    .description('Show an overlay; one that is missing or stale is built on the spot.')
    .argument('<vcluster>', 'the virtual cluster')
    .option('--stored', 'what is stored, even if stale, and build nothing')
    .action((vcluster: string, flags: { readonly stored?: boolean }) =>
      withJournal(context, async (journal) => {
        const shown = { stored_only: flags.stored === true };
        printOverlay(
          context,
          await withVCluster(context, vcluster, () => journal.overlayInfo(vcluster, shown)),
        );
      }),
    );

  overlay
    .command('list')
    .description('List the overlays of all virtual clusters.')
    .action(() =>
      withJournal(context, async (journal) => {
        const rows: OverlayInfo[] = [];
        for await (const info of journal.overlays()) {
          if (context.globals.json) context.out.json(info);
          else rows.push(info);
        }
        if (context.globals.json) return;
        printTable(
          context.out,
          ['VCLUSTER', 'VERSION', 'SIZE', 'RAW SIZE', 'STALE'],
          rows.map((row) => [
            row.vcluster_id,
            row.version === null ? '-' : String(row.version),
            formatBytes(row.size_bytes),
            formatBytes(row.raw_size_bytes),
            row.stale ? 'yes' : 'no',
          ]),
        );
      }),
    );

  overlay
    .command('rebuild')
    .description('Build and store an overlay whatever is there.')
    .argument('<vcluster>', 'the virtual cluster')
    .action((vcluster: string) =>
      withJournal(context, async (journal) => {
        printOverlay(context, await withVCluster(context, vcluster, () => journal.rebuildOverlay(vcluster)));
      }),
    );

  overlay
    .command('verify')
    .description("Fetch an overlay and hold it against its checksum and the virtual cluster's configuration.")
    .argument('<vcluster>', 'the virtual cluster')
    .action(async (vcluster: string) => {
      const { verifyOverlay } = await import('../overlay-verification.ts');
      await withJournal(context, async (journal) => {
        const verified = await withVCluster(context, vcluster, () => verifyOverlay(journal, vcluster));
        if (context.globals.json) return context.out.json(verified);
        context.out.line(
          `overlay of ${vcluster} at ${String(verified.version)} is whole: ${String(verified.keys)} keys as declared, ${verified.checksum}`,
        );
      });
    });
}

function printOverlay(context: CliContext, info: OverlayInfo): void {
  if (context.globals.json) return context.out.json(info);
  printFields(context.out, [
    ['vcluster', info.vcluster_id],
    ['version', info.version === null ? '-' : String(info.version)],
    ['checksum', info.checksum === '' ? '-' : info.checksum],
    ['size', `${formatBytes(info.size_bytes)} (${formatBytes(info.raw_size_bytes)} uncompressed)`],
    ['stale', info.stale ? context.out.colors.yellow('yes') : 'no'],
  ]);
}
