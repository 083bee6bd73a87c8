import { distance } from 'fastest-levenshtein';
import { ConfigError, type ConfigProblem } from './errors.ts';
import {
  settingRows,
  VARIABLE_PREFIX,
  type EffectiveSetting,
  type ServerConfig,
  type SettingRow,
} from './settings.ts';
import { readToml, type TomlSource } from './toml-source.ts';
import { resolveConfig } from './resolve.ts';

/** Where a configuration is read from; later ones win: file, variables, flags. */
export interface ConfigSources {
  /** TOML file. Without one, `PACT_JOURNAL_CONFIG` names it, or there is none. */
  readonly file?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Values of flags by long name without dashes: text, a list of texts, or true. */
  readonly flags: Readonly<Record<string, string | readonly string[] | boolean | undefined>>;
}

export interface LoadedConfig {
  readonly config: ServerConfig;
  readonly settings: readonly EffectiveSetting[];
}

/** The variable that names the configuration file. */
export const CONFIG_FILE_VARIABLE = `${VARIABLE_PREFIX}CONFIG`;

/** Set by the launcher in `bin/`, for itself. */
const LAUNCHER_VARIABLE = `${VARIABLE_PREFIX}LAUNCHED`;

/** Given for a value that a source did not set. */
interface Given {
  readonly value: unknown;
  readonly origin: string;
}

/**
 * Reads, merges and checks a configuration. Fails with {@link ConfigError}, which lists every problem found with the
 * file and line, variable or flag it is in.
 */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const path = sources.file ?? sources.environment[CONFIG_FILE_VARIABLE];
  const toml = path === undefined || path === '' ? undefined : await readToml(path);
  const problems: ConfigProblem[] = [
    ...(toml === undefined ? [] : unknownKeys(toml)),
    ...unknownVariables(sources.environment),
  ];
  const effective = settingRows.map((row) => readSetting(row, sources, toml, problems));
  failOn(problems);
  const { config, settings, conflicts } = resolveConfig(effective);
  failOn(conflicts);
  return { config, settings };
}

function failOn(problems: readonly ConfigProblem[]): void {
  const [first, ...more] = problems;
  if (first !== undefined) throw new ConfigError([first, ...more]);
}

function readSetting(
  row: SettingRow,
  sources: ConfigSources,
  toml: TomlSource | undefined,
  problems: ConfigProblem[],
): EffectiveSetting {
  const given = fromFlag(row, sources.flags) ?? fromVariable(row, sources.environment) ?? fromToml(row, toml);
  if (given === undefined) return { row, value: row.setting.fallback, origin: 'default' };
  const result = row.setting.type.schema.safeParse(given.value);
  if (result.success) return { row, value: result.data, origin: given.origin };
  for (const issue of result.error.issues) {
    const path = issue.path.map(String);
    const where =
      toml !== undefined && given.origin.startsWith(`${toml.path}:`)
        ? toml.where([...row.key.split('.'), ...path])
        : given.origin;
    const name =
      path.length === 0
        ? row.key
        : `${row.key}[${path[0] ?? ''}]${path
            .slice(1)
            .map((part) => `.${part}`)
            .join('')}`;
    problems.push({
      code: 'invalidValue',
      where,
      message: `${name} is ${display(valueAt(given.value, issue.path))}: ${issue.message}`,
    });
  }
  return { row, value: row.setting.fallback, origin: 'default' };
}

function fromFlag(row: SettingRow, flags: ConfigSources['flags']): Given | undefined {
  const value = flags[row.flag];
  if (value === undefined) return undefined;
  const origin = `--${row.flag}`;
  if (typeof value === 'boolean') return { value, origin };
  const { type } = row.setting;
  if (typeof value !== 'string') return { value: value.map(type.fromText), origin };
  return { value: type.list ? [type.fromText(value)] : type.fromText(value), origin };
}

function fromVariable(row: SettingRow, environment: ConfigSources['environment']): Given | undefined {
  const value = environment[row.variable];
  if (value === undefined) return undefined;
  const { type } = row.setting;
  const parts = value
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return { value: type.list ? parts.map(type.fromText) : type.fromText(value), origin: `$${row.variable}` };
}

function fromToml(row: SettingRow, toml: TomlSource | undefined): Given | undefined {
  if (toml === undefined) return undefined;
  const [section = '', name = ''] = row.key.split('.');
  const table = toml.table[section];
  if (!isTable(table)) return undefined;
  const value = table[name];
  if (value === undefined) return undefined;
  const { type } = row.setting;
  const native =
    type.list && Array.isArray(value)
      ? value.map((item: unknown) => (typeof item === 'string' ? type.fromText(item) : item))
      : value;
  return { value: native, origin: toml.where([section, name]) };
}

function unknownKeys(toml: TomlSource): readonly ConfigProblem[] {
  const sections = new Set(settingRows.map((row) => row.section));
  const keys = new Set(settingRows.map((row) => row.key));
  const unknown = (path: readonly string[], candidates: Iterable<string>): ConfigProblem => ({
    code: 'unknownKey',
    where: toml.where(path),
    message: `unknown key ${path.join('.')}; did you mean ${nearest(path.join('.'), candidates)}?`,
  });
  return Object.entries(toml.table).flatMap(([section, value]) => {
    if (!sections.has(section)) return [unknown([section], isTable(value) ? sections : keys)];
    if (!isTable(value)) {
      return [
        {
          code: 'invalidValue' as const,
          where: toml.where([section]),
          message: `${section} is ${display(value)}: expected the table [${section}]`,
        },
      ];
    }
    return Object.keys(value).flatMap((name) =>
      keys.has(`${section}.${name}`) ? [] : [unknown([section, name], keys)],
    );
  });
}

/** Variables that Kubernetes sets by itself in every container when a service is called pact-journal. */
const serviceLink = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?)$/;

function unknownVariables(environment: ConfigSources['environment']): readonly ConfigProblem[] {
  const known = new Set([CONFIG_FILE_VARIABLE, LAUNCHER_VARIABLE, ...settingRows.map((row) => row.variable)]);
  return Object.keys(environment)
    .filter((name) => name.startsWith(VARIABLE_PREFIX) && !known.has(name) && !serviceLink.test(name))
    .map((name) => ({
      code: 'unknownKey',
      where: `$${name}`,
      message: `unknown variable; did you mean ${nearest(name, known)}?`,
    }));
}

/** The candidate with the fewest edits; a key whose last part matches better wins over one that is only short. */
function nearest(name: string, candidates: Iterable<string>): string {
  const last = (text: string): string => text.slice(text.lastIndexOf('.') + 1);
  const cost = (candidate: string): number =>
    Math.min(distance(name, candidate), distance(last(name), last(candidate)) + 1);
  return [...candidates].reduce((best, candidate) => (cost(candidate) < cost(best) ? candidate : best));
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  const [first, ...rest] = path;
  if (first === undefined || typeof value !== 'object' || value === null) return value;
  return valueAt(Reflect.get(value, first), rest);
}

function display(value: unknown): string {
  if (value === undefined) return 'missing';
  const shown = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'bigint' ? String(part) : part,
  );
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
}
