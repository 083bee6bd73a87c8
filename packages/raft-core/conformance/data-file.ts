/** `key`, or `key=value`, or `key=(value,value)`. */
export interface CommandArgument {
  readonly key: string;
  readonly values: readonly string[];
}

/** One command line. */
export interface Command {
  readonly name: string;
  readonly args: readonly CommandArgument[];
}

/** One case of a data file: a command, its input, and what it must print. */
export interface Case extends Command {
  readonly file: string;
  /** Line of the command, from 1. */
  readonly line: number;
  /** Lines of the expected output, from 0 and exclusive of the end, separators of a doubled pair included. */
  readonly outputLines: readonly [number, number];
  readonly input: string;
  readonly expected: string;
}

const SEPARATOR = '----';

/** Splits a data file into its cases. Throws an `Error` that names the line for a file that is not of this format. */
export function parseDataFile(file: string, text: string): readonly Case[] {
  const lines = text.split('\n');
  const cases: Case[] = [];
  let at = 0;
  while (at < lines.length) {
    const start = at;
    let command = lines[at]?.trim() ?? '';
    at += 1;
    if (command === '' || command.startsWith('#')) continue;
    while (command.endsWith('\\')) {
      command = `${command.slice(0, -1)} ${lines[at]?.trim() ?? ''}`;
      at += 1;
    }
    const input: string[] = [];
    while (at < lines.length && lines[at] !== SEPARATOR) {
      input.push(lines[at] ?? '');
      at += 1;
    }
    if (at >= lines.length) throw new Error(`${file}:${start + 1}: no ${SEPARATOR} after the command`);
    at += 1;
    const { output, next } = readOutput(lines, at);
    const outputLines = [at, next] as const;
    at = next;
    cases.push({
      outputLines,
      file,
      line: start + 1,
      ...parseCommand(command),
      input: input.join('\n').trim(),
      expected: output,
    });
  }
  return cases;
}

/** Splits a command line into its name and arguments. */
export function parseCommand(line: string): Command {
  const words = line.trim().match(/[^\s=]+(?:=(?:\([^)]*\)|[^\s]*))?/g) ?? [];
  const [name = '', ...rest] = words;
  return { name, args: rest.map(parseArgument) };
}

function parseArgument(word: string): CommandArgument {
  const equals = word.indexOf('=');
  if (equals === -1) return { key: word, values: [] };
  const key = word.slice(0, equals);
  const value = word.slice(equals + 1);
  if (!value.startsWith('(')) return { key, values: [value] };
  const inner = value.slice(1, -1).trim();
  return { key, values: inner === '' ? [] : inner.split(',').map((item) => item.trim()) };
}

/** Output ends at a blank line; between doubled separators it may contain some. */
function readOutput(lines: readonly string[], from: number): { output: string; next: number } {
  const output: string[] = [];
  let at = from;
  if (lines[at] === SEPARATOR) {
    at += 1;
    while (at < lines.length && !(lines[at] === SEPARATOR && lines[at + 1] === SEPARATOR)) {
      output.push(lines[at] ?? '');
      at += 1;
    }
    return { output: output.join('\n'), next: at + 2 };
  }
  while (at < lines.length && lines[at] !== '') {
    output.push(lines[at] ?? '');
    at += 1;
  }
  return { output: output.join('\n'), next: at };
}

/** The text of a data file with the output of every case replaced by what `run` prints for it. */
export function rewrite(text: string, cases: readonly Case[], run: (test: Case) => string): string {
  const lines = text.split('\n');
  const parts: string[] = [];
  let from = 0;
  for (const test of cases) {
    const [start, end] = test.outputLines;
    const output = run(test).trimEnd();
    parts.push(...lines.slice(from, start), ...(/^$/m.test(output) ? doubled(output) : [output]));
    from = end;
  }
  return [...parts, ...lines.slice(from)].join('\n');
}

function doubled(output: string): readonly string[] {
  return [SEPARATOR, output, SEPARATOR, SEPARATOR];
}

/** All values of an argument, none if it is not given. */
export function valuesOf(command: Command, key: string): readonly string[] {
  return command.args.filter((arg) => arg.key === key).flatMap((arg) => arg.values);
}

/** The value of an argument that is given at most once. */
export function valueOf(command: Command, key: string): string | undefined {
  return valuesOf(command, key)[0];
}

/** Arguments without a value: ids and data. */
export function positional(command: Command): readonly string[] {
  return command.args.filter((arg) => arg.values.length === 0).map((arg) => arg.key);
}

/** A boolean in any of the spellings that these files may use. Throws an `Error` in the words that they expect. */
export function parseBoolean(value: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  throw new Error(`strconv.ParseBool: parsing "${value}": invalid syntax`);
}

/** An integer from 0. */
export function parseInteger(value: string): number {
  if (!/^\d+$/.test(value)) throw new Error(`"${value}" is not an unsigned integer`);
  return Number(value);
}
