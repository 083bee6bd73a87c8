/** Files and standard input given to commands: read whole, bounded, and checked before anything is sent. */
import { readFile, stat } from 'node:fs/promises';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';

/** More than any entry or policy can be; an endless pipe ends here. In bytes. */
const MAX_INPUT_BYTES = 64 * 1024 * 1024;

/** A text with the name that errors call it by. */
export interface InputText {
  readonly name: string;
  readonly text: string;
}

/** Reads a file, or standard input for `-`. Fails with a usage error that names the file. */
export async function readInput(context: CliContext, path: string): Promise<InputText> {
  if (path === '-') return { name: 'standard input', text: await readStandardInput(context) };
  try {
    const info = await stat(path);
    if (info.isDirectory())
      throw new CliError('usage', `${path}: is a directory, give a JSON file or - for standard input`);
    if (info.size > MAX_INPUT_BYTES) throw tooLarge(path, info.size);
    return { name: path, text: await readFile(path, 'utf8') };
  } catch (error) {
    throw isSystemError(error)
      ? new CliError('usage', `${path}: ${describeSystemError(error)}`, { cause: error })
      : error;
  }
}

async function readStandardInput(context: CliContext): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of context.stdin) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    sizeBytes += bytes.length;
    if (sizeBytes > MAX_INPUT_BYTES) throw tooLarge('standard input', sizeBytes);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function tooLarge(name: string, sizeBytes: number): CliError {
  return new CliError(
    'usage',
    `${name}: ${String(sizeBytes)} bytes or more, allowed are ${String(MAX_INPUT_BYTES)}`,
  );
}

interface SystemError {
  readonly code: string;
  readonly message: string;
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

function describeSystemError(error: SystemError): string {
  if (error.code === 'ENOENT') return 'no such file, give the path of a JSON file or - for standard input';
  if (error.code === 'EACCES' || error.code === 'EPERM') return 'not readable by you';
  return error.message;
}

/** Parses JSON; what is expected there is said when it is none. */
export function parseJson(input: InputText, expected: string): unknown {
  if (input.text.trim() === '') throw new CliError('usage', `${input.name}: is empty, expected ${expected}`);
  try {
    const value: unknown = JSON.parse(input.text);
    return value;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError('usage', `${input.name}: not JSON (${reason}), expected ${expected}`, {
      cause: error,
    });
  }
}
