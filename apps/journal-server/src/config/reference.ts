/** The table of settings as a page for people, so that the page cannot say anything else than the program does. */
import { settingRows, type SettingRow } from './settings.ts';

const INTRODUCTION = `# Settings of \`pact-journal serve\`

A setting has its flag's value, else its variable's, else the TOML file's (\`--config FILE\` or \`PACT_JOURNAL_CONFIG\`), else
its default. \`pact-journal config check\`, with the same file, variables and flags, prints every value and where it came
from. An unknown key or variable is an error.

Durations are written \`500ms\`, \`10s\`, \`5m\`, \`2h\`, \`1d\`; sizes \`64KiB\`, \`16MiB\`, \`1GiB\`; addresses \`host:port\` or
\`[v6]:port\`. A flag that takes a list is repeated; its variable separates with \`;\`. A member is written
\`ID=RAFT,GRPC[,METRICS][,learner]\`, or as a \`[[cluster.members]]\` table with those names.
`;

/** Markdown: a table for each section. */
export function settingsReference(): string {
  const sections = [...new Set(settingRows.map((row) => row.section))];
  const tables = sections.map((section) => {
    const rows = settingRows.filter((row) => row.section === section).map(tableRow);
    return [
      `## [${section}]`,
      '',
      '| key | default | meaning | variable | flag |',
      '|---|---|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  });
  return [INTRODUCTION, ...tables].join('\n');
}

function tableRow({ key, variable, flag, setting }: SettingRow): string {
  const value = setting.type.format(setting.fallback);
  const shown = Array.isArray(value) ? value.join(', ') : String(value);
  const cells = [
    code(key.slice(key.indexOf('.') + 1)),
    shown === '' ? '' : code(shown),
    setting.description,
    code(variable),
    code(`--${flag}`),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

const code = (text: string): string => `\`${text}\``;
