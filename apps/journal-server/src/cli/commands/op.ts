/** `pact-journal op`: the audit log of remote commands and shell sessions. */
import { randomUUID } from 'node:crypto';
import { formatScope, type AdminOperation, type AdminOperationType } from '@pact-journal/journal-state';
import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import {
  addAuthorOptions,
  addScopeOptions,
  authorOf,
  requiredScope,
  type AuthorFlags,
  type ScopeFlags,
} from '../options.ts';
import { parseChoice, parseCount } from '../parse.ts';
import { CliError } from '../errors.ts';
import { formatTime } from '../render.ts';
import { shorten } from '../tables.ts';

const OPERATION_TYPES: readonly AdminOperationType[] = ['Exec', 'ShellStart', 'ShellEnd'];

interface RecordFlags extends ScopeFlags, AuthorFlags {
  readonly type: AdminOperationType;
  readonly detail: string;
  readonly exitCode?: number;
  readonly id?: string;
}

interface ListFlags {
  readonly from?: number;
  readonly limit?: number;
}

export function register(program: Command, context: CliContext): void {
  const op = program.command('op').description('Record and list remote commands and shell sessions.');

  const record = op
    .command('record')
    .description('Record what an administrator did.')
    .addOption(
      new Option('--type <type>', OPERATION_TYPES.join(', '))
        .argParser(parseChoice('--type', OPERATION_TYPES))
        .default('Exec'),
    )
    .requiredOption('--detail <text>', "the command line, or the session's id")
    .option('--exit-code <n>', 'exit status, where it is known', parseExitCode)
    .option('--id <id>', 'its own id: recording the same id twice is refused (default: a new one)');
  addScopeOptions(record, 'done on');
  addAuthorOptions(record);
  record.action(async (flags: RecordFlags) => {
    const operation = {
      operation_id: flags.id ?? randomUUID(),
      operation_type: flags.type,
      author: authorOf(flags),
      scope: requiredScope(flags),
      detail: flags.detail,
      exit_code: flags.exitCode ?? null,
      occurred_at: new Date().toISOString(),
    };
    await withJournal(context, async (journal) => {
      const receipt = await journal.recordOperation(operation);
      if (context.globals.json) context.out.json({ operation_id: operation.operation_id, ...receipt });
      else context.out.line(`recorded ${operation.operation_id}`);
    });
  });

  op.command('list')
    .description('List operations, oldest first.')
    .option('--from <n>', 'lowest position in the audit log', parseCount('--from', 0))
    .option('-n, --limit <n>', 'only the newest n', parseCount('--limit', 1, 0xffff_ffff))
    .action((flags: ListFlags) =>
      withJournal(context, async (journal) => {
        for await (const operation of journal.operations(flags)) {
          if (context.globals.json) context.out.json(operation);
          else context.out.line(operationLine(context, operation));
        }
      }),
    );
}

function operationLine(context: CliContext, operation: AdminOperation): string {
  return [
    context.out.colors.yellow(String(operation.audit_sequence).padStart(6)),
    formatTime(operation.occurred_at),
    operation.operation_type.padEnd(10),
    formatScope(operation.scope).padEnd(22),
    operation.author.principal.padEnd(12),
    `${shorten(operation.detail, 80)}${operation.exit_code === null ? '' : ` (exit ${String(operation.exit_code)})`}`,
  ].join('  ');
}

function parseExitCode(text: string): number {
  const value = /^-?\d+$/u.test(text) ? Number(text) : Number.NaN;
  if (value >= -0x8000_0000 && value <= 0x7fff_ffff) return value;
  throw new CliError('usage', `--exit-code: "${text}" is not a whole number of 32 bits`);
}
