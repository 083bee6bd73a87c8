import { readFile } from 'node:fs/promises';
import { parse, TomlError } from 'smol-toml';
import { ConfigError } from './errors.ts';

/** A parsed TOML file that can say on which line a key is. */
export interface TomlSource {
  readonly path: string;
  readonly table: Readonly<Record<string, unknown>>;
  /** `PATH:LINE`, or `PATH` where the line is not found. */
  where(keyPath: readonly string[]): string;
}

/** Reads and parses a TOML file. Fails with {@link ConfigError} `unreadable` or `syntax`. */
export async function readToml(path: string): Promise<TomlSource> {
  let source: string;
  try {
    source = await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ConfigError(
      [
        {
          code: 'unreadable',
          where: path,
          message: `cannot read this configuration file (${reason}); name another with --config`,
        },
      ],
      { cause: error },
    );
  }
  return parseToml(path, source);
}

/** Parses TOML text; `path` only says where it came from. Fails with {@link ConfigError} `syntax`. */
export function parseToml(path: string, source: string): TomlSource {
  try {
    return { path, table: parse(source), where: (keyPath) => locate(path, source, keyPath) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = `not valid TOML: ${error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? ''}`;
    const where = `${path}:${String(error.line)}:${String(error.column)}`;
    throw new ConfigError([{ code: 'syntax', where, message }], { cause: error });
  }
}

/**
 * Finds a key's line by walking over headers and assignments. It reads the forms that people write; for others (a key
 * inside an inline table, say) the line of the nearest table or key above it is near enough.
 */
function locate(path: string, source: string, keyPath: readonly string[]): string {
  const wanted = keyPath.filter((part) => !/^\d+$/.test(part));
  let header: readonly string[] = [];
  let nearest: { readonly line: number; readonly depth: number } | undefined;
  for (const [index, text] of source.split('\n').entries()) {
    const headerText = /^\s*\[\[?([^\]]+)\]\]?\s*(#.*)?$/.exec(text)?.[1];
    const keyText = /^\s*([\w."'-]+)\s*=/.exec(text)?.[1];
    if (headerText !== undefined) header = splitKey(headerText);
    const here =
      headerText !== undefined
        ? header
        : keyText !== undefined
          ? [...header, ...splitKey(keyText)]
          : undefined;
    if (here === undefined || here.length > wanted.length || !here.every((part, at) => part === wanted[at]))
      continue;
    if (nearest === undefined || here.length > nearest.depth)
      nearest = { line: index + 1, depth: here.length };
  }
  return nearest === undefined ? path : `${path}:${String(nearest.line)}`;
}

function splitKey(text: string): readonly string[] {
  return text.split('.').map((part) => part.trim().replace(/^["']|["']$/g, ''));
}
