/** Completion scripts for shells, made from the program itself: whatever commands and options there are. */
import type { Command, Option } from 'commander';

/** One command as completion sees it. */
interface CompletionNode {
  /** Names from below the program, for example `['node', 'list']`; empty for the program. */
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly CompletionOption[];
}

interface CompletionOption {
  readonly long: string;
  readonly short: string | undefined;
  readonly summary: string;
  readonly takesValue: boolean;
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(program: Command, shell: Shell): string {
  const nodes = collect(program, []);
  switch (shell) {
    case 'bash':
      return bash(nodes);
    case 'zsh':
      return zsh(nodes);
    case 'fish':
      return fish(nodes);
  }
}

function collect(
  command: Command,
  path: readonly string[],
  inherited: readonly CompletionOption[] = [],
): CompletionNode[] {
  const own = command.options.flatMap(toOption);
  const options = [...own, ...inherited];
  const help: CompletionOption = { long: '--help', short: '-h', summary: 'print help', takesValue: false };
  const node: CompletionNode = {
    path,
    commands: command.commands.map((child) => ({
      name: child.name(),
      summary: child.summary() || child.description(),
    })),
    options: [...options, help],
  };
  const global = path.length === 0 ? own.filter((option) => option.long !== '--version') : inherited;
  return [node, ...command.commands.flatMap((child) => collect(child, [...path, child.name()], global))];
}

function toOption(option: Option): CompletionOption[] {
  if (option.hidden || option.long === undefined || option.long === null) return [];
  return [
    {
      long: option.long,
      short: option.short ?? undefined,
      summary: option.description,
      takesValue: option.required || option.optional,
    },
  ];
}

const FUNCTION = '_pact_journal';

/** The walk over the words typed so far that both bash and zsh do: `path` becomes the innermost command's. */
function pathCases(nodes: readonly CompletionNode[]): string {
  return nodes
    .filter((node) => node.path.length > 0)
    .map((node) => `'/${node.path.join('/')}'`)
    .join('|');
}

function bash(nodes: readonly CompletionNode[]): string {
  const words = nodes.map((node) => {
    const list = [
      ...node.commands.map((command) => command.name),
      ...node.options.map((option) => option.long),
    ];
    return `    '${node.path.map((name) => `/${name}`).join('')}') words='${list.join(' ')}' ;;`;
  });
  return `# bash completion of pact-journal: eval "$(pact-journal completion bash)"
${FUNCTION}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path/\${COMP_WORDS[i]}" in
      ${pathCases(nodes)}) path="$path/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path" in
${words.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F ${FUNCTION} pact-journal
`;
}

function zsh(nodes: readonly CompletionNode[]): string {
  const describe = (name: string, summary: string) =>
    shellQuote(`${name.replaceAll(':', '\\:')}:${oneLine(summary)}`);
  const cases = nodes.map((node) => {
    const commands = node.commands.map((command) => describe(command.name, command.summary));
    const options = node.options.map((option) => describe(option.long, option.summary));
    return `    '${node.path.map((name) => `/${name}`).join('')}') commands=(${commands.join(' ')}) options=(${options.join(' ')}) ;;`;
  });
  return `#compdef pact-journal
# zsh completion of pact-journal: source <(pact-journal completion zsh)
${FUNCTION}() {
  local path_typed='' i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    case "$path_typed/\${words[i]}" in
      ${pathCases(nodes)}) path_typed="$path_typed/\${words[i]}" ;;
    esac
  done
  case "$path_typed" in
${cases.join('\n')}
  esac
  (( \${#commands} )) && _describe -t commands command commands
  _describe -t options option options
  _files
}
compdef ${FUNCTION} pact-journal
`;
}

function fish(nodes: readonly CompletionNode[]): string {
  const lines = nodes.flatMap((node) => {
    const condition = shellQuote(`${FUNCTION}_at ${node.path.join(' ')}`.trim());
    const commands = node.commands.map(
      ({ name, summary }) =>
        `complete -c pact-journal -n ${condition} -f -a ${name} -d ${shellQuote(oneLine(summary))}`,
    );
    const options = node.options.map((option) => {
      const short = option.short === undefined ? '' : ` -s ${option.short.replace(/^-+/u, '')}`;
      const value = option.takesValue ? ' -r' : '';
      const long = option.long.replace(/^-+/u, '');
      return `complete -c pact-journal -n ${condition} -l ${long}${short}${value} -d ${shellQuote(oneLine(option.summary))}`;
    });
    return [...commands, ...options];
  });
  const paths = nodes.filter((node) => node.path.length > 0).map((node) => shellQuote(node.path.join(' ')));
  return `# fish completion of pact-journal: pact-journal completion fish | source
function ${FUNCTION}_at
  set -l path
  for word in (commandline -opc)[2..-1]
    if contains -- (string join ' ' $path $word) ${paths.join(' ')}
      set -a path $word
    end
  end
  test (string join ' ' -- $path) = (string join ' ' -- $argv)
end
${lines.join('\n')}
`;
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/gu, ' ').trim();
}
