/** Runs the real command line on the sources: as a process of its own, or in this one. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { TextStream } from '../../src/cli/output.ts';
import { run } from '../../src/cli/program.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Another program than the command line, with the same arguments. */
  readonly program?: string;
}

export type CliProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/** Starts the command line. Nothing of the test's own environment that would change its behaviour comes through. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  const { PACT_ENDPOINT: _endpoint, PACT_TOKEN: _token, NO_COLOR: _noColor, ...inherited } = process.env;
  return spawn(process.execPath, ['--conditions=@pact-journal/source', options.program ?? MAIN, ...args], {
    env: { ...inherited, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs it to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, options);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  // A command that fails early does not read its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, ...output };
}

/** Collects what is written to it; no terminal. */
class Collector implements TextStream {
  text = '';

  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

/** The same in this process: for the many cases in which a process of its own would show nothing more. */
export async function runHere(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const [stdout, stderr] = [new Collector(), new Collector()];
  const stdin = Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]);
  const code = await run(args, { stdout, stderr, stdin }, options.env ?? {});
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** The only line of a failure, without the program's name. Fails where there is more than one line. */
export function failureLine(result: CliResult): string {
  const lines = result.stderr.trimEnd().split('\n');
  if (lines.length !== 1) throw new Error(`expected one line on stderr, got:\n${result.stderr}`);
  return (lines[0] ?? '').replace(/^pact-journal: /u, '');
}
