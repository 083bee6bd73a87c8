/** What commands print with: data on stdout, remarks on stderr, colour and progress only where a human watches. */
import pc from 'picocolors';
import { cutLongWords } from '../long-words.ts';

/** The part of a stream that the command line needs. */
export interface TextStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

export type Colors = ReturnType<typeof pc.createColors>;

const ESCAPE = String.fromCharCode(27);

/**
 * Replaces control characters other than tab and newline, except in the colour sequences (SGR) that this program
 * writes: names and messages come from other people and must not be able to move a terminal's cursor.
 */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (control, at: number) => {
    if (control === '\t' || control === '\n') return control;
    return control === ESCAPE && /^\[[0-9;]*m/u.test(text.slice(at + 1)) ? control : '\uFFFD';
  });
}

export class Output {
  readonly #stdout: TextStream;
  readonly #stderr: TextStream;
  /** Colours for stdout; they do nothing when stdout is no terminal or NO_COLOR is set. */
  readonly colors: Colors;
  /** Colours for stderr. */
  readonly errorColors: Colors;

  constructor(stdout: TextStream, stderr: TextStream, env: Readonly<Record<string, string | undefined>>) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    const allowed = (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
    this.colors = pc.createColors(allowed && stdout.isTTY === true);
    this.errorColors = pc.createColors(allowed && stderr.isTTY === true);
  }

  /** True when a human reads stdout. */
  get isTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** True when a human watches stderr: progress goes there. */
  get isErrorTerminal(): boolean {
    return this.#stderr.isTTY === true;
  }

  /** Terminal width in columns; 100 when stdout is no terminal. */
  get columns(): number {
    return this.#stdout.columns ?? 100;
  }

  /** A line of data on stdout. */
  line(text: string): void {
    this.#stdout.write(`${printable(text)}\n`);
  }

  /** Data on stdout, as it is. */
  raw(text: string): void {
    this.#stdout.write(text);
  }

  /** One JSON document on one line of stdout. */
  json(value: unknown): void {
    this.#stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** Text on stderr, as it is. */
  remark(text: string): void {
    this.#stderr.write(text);
  }

  /** A remark for the operator on stderr. */
  note(text: string): void {
    this.#stderr.write(`${this.errorColors.dim(printable(text))}\n`);
  }

  /** Something that the operator should look at, on stderr. */
  warn(text: string): void {
    this.#stderr.write(`${this.errorColors.yellow('warning:')} ${printable(text)}\n`);
  }

  /** The one line of a failure, on stderr. */
  failure(text: string): void {
    this.#stderr.write(`${this.errorColors.red('pact-journal:')} ${printable(cutLongWords(text))}\n`);
  }
}
