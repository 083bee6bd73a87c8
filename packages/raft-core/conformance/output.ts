import type { LogLevel } from '../src/core/index.ts';

const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'];

/** What a command prints: the group's answers and its log lines, as far as the log level lets them through. */
export class Output {
  #text = '';
  #level = 0;

  /** At the highest level nothing is printed at all, except errors. */
  get quiet(): boolean {
    return this.#level === LEVELS.length - 1;
  }

  get level(): string {
    return LEVELS[this.#level] ?? '';
  }

  setLevel(name: string): void {
    const level = LEVELS.indexOf(name.toUpperCase());
    if (level === -1) throw new Error(`log levels must be either of [${LEVELS.join(' ')}]`);
    this.#level = level;
  }

  write(text: string): void {
    if (!this.quiet) this.#text += text;
  }

  log(level: LogLevel, text: string): void {
    if (LEVELS.indexOf(level) >= this.#level) this.write(`${level} ${text}\n`);
  }

  /** Runs `body` and indents what it prints by two blanks. */
  indent(body: () => void): void {
    const before = this.#text;
    this.#text = '';
    try {
      body();
    } finally {
      const lines = this.#text.split('\n');
      if (lines.at(-1) === '') lines.pop();
      this.#text = before + lines.map((line) => `  ${line}\n`).join('');
    }
  }

  /** What was printed since the last call. */
  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }
}
