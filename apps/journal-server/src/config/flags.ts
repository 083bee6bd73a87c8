import { Option, type Command } from 'commander';
import type { ConfigSources } from './load.ts';
import { settingRows, type SettingRow } from './settings.ts';

/** Gives a command `--config` and a flag for each setting, or for those of some sections. */
export function addSettingFlags(command: Command, sections?: readonly string[]): Command {
  command.addOption(new Option('--config <file>', 'TOML file (PACT_JOURNAL_CONFIG)'));
  for (const row of settingRows)
    if (sections?.includes(row.section) ?? true) command.addOption(settingOption(row));
  return command;
}

function settingOption(row: SettingRow): Option {
  const { type, fallback, description } = row.setting;
  const shown = type.format(fallback);
  const silent = shown === '' || shown === false || (Array.isArray(shown) && shown.length === 0);
  const suffix = silent ? '' : ` (default ${Array.isArray(shown) ? shown.join(', ') : String(shown)})`;
  const flags = type.placeholder === '' ? `--${row.flag}` : `--${row.flag} <${type.placeholder}>`;
  const option = new Option(flags, description + suffix);
  if (type.list)
    option.argParser((value: string, previous: readonly string[] | undefined) => [
      ...(previous ?? []),
      value,
    ]);
  return option;
}

/** Picks out of a command's options what `addSettingFlags` added. */
export function configSources(
  options: Readonly<Record<string, unknown>>,
  environment: ConfigSources['environment'],
): ConfigSources {
  const file = options['config'];
  const flags: Record<string, string | readonly string[] | boolean> = {};
  for (const row of settingRows) {
    const value = options[new Option(`--${row.flag}`).attributeName()];
    if (typeof value === 'string' || typeof value === 'boolean') flags[row.flag] = value;
    else if (Array.isArray(value)) flags[row.flag] = value.map(String);
  }
  return { file: typeof file === 'string' ? file : undefined, environment, flags };
}
