/** `pact-journal config check`: what a server would run with, and where each value came from. */
import Table from 'cli-table3';
import type { Command } from 'commander';
import {
  addSettingFlags,
  configSources,
  loadConfig,
  settingsReference,
  type EffectiveSetting,
} from '../../config/index.ts';
import type { CliContext } from '../context.ts';
import { asUsageError } from '../server-errors.ts';

export function register(program: Command, context: CliContext): void {
  const config = program.command('config').description('look at a server configuration without starting one');
  config
    .command('reference')
    .description('print every setting as Markdown: key, default, meaning, variable and flag')
    .action(() => {
      context.out.raw(settingsReference());
    });
  const check = config
    .command('check')
    .description(
      'read the file, the PACT_JOURNAL_* variables and the flags as `serve` would, and print the result',
    );
  addSettingFlags(check).action(async (options: Readonly<Record<string, unknown>>) => {
    const { settings } = await loadConfig(configSources(options, context.env)).catch(asUsageError(context));
    if (context.globals.json) context.out.json(Object.fromEntries(settings.map(described)));
    else printTable(settings, context);
  });
}

function described(item: EffectiveSetting): readonly [string, unknown] {
  const { row } = item;
  return [
    row.key,
    {
      value: row.setting.type.format(item.value),
      origin: item.origin,
      variable: row.variable,
      flag: `--${row.flag}`,
    },
  ];
}

function printTable(settings: readonly EffectiveSetting[], context: CliContext): void {
  const { colors } = context.out;
  const table = new Table({
    head: ['KEY', 'VALUE', 'FROM'],
    style: { head: [], border: [], compact: true },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '  ',
    },
  });
  for (const item of settings) {
    const value = item.row.setting.type.format(item.value);
    const shown = Array.isArray(value) ? value.join('\n') || '-' : value === '' ? '-' : String(value);
    table.push([
      item.row.key,
      item.origin === 'default' ? colors.dim(shown) : shown,
      colors.dim(item.origin),
    ]);
  }
  context.out.line(table.toString());
}
