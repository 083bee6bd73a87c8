/** What every command gets: where to print, the environment, and the global options once they are parsed. */
import type { Command } from 'commander';
import type { TlsFlags } from './channel.ts';
import { CliError } from './errors.ts';
import { Output, type TextStream } from './output.ts';

/** Where clients look for a journal when nothing says otherwise. */
export const DEFAULT_ENDPOINT = '127.0.0.1:9443';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The global options, valid inside a command's action. */
export interface GlobalOptions {
  /** `host:port`, at least one. */
  readonly endpoints: readonly string[];
  readonly token: string | undefined;
  /** Undefined: plain text. */
  readonly tls: TlsFlags | undefined;
  /** stdout carries one JSON document or JSON Lines and nothing else. */
  readonly json: boolean;
}

export interface CliContext {
  readonly out: Output;
  readonly env: Environment;
  /** Raw standard input, for `-f -`. */
  readonly stdin: NodeJS.ReadableStream;
  /** Only meaningful inside an action: before, these are the defaults. */
  readonly globals: GlobalOptions;
  /** The program with all of its commands loaded, not only the one that runs. */
  wholeProgram(): Promise<Command>;
}

export interface CliStreams {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly stdin: NodeJS.ReadableStream;
}

/** Options as commander delivers them. */
export interface RawGlobalOptions {
  readonly endpoint?: readonly string[];
  readonly token?: string;
  readonly tls?: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly json?: boolean;
}

export class Context implements CliContext {
  readonly out: Output;
  readonly env: Environment;
  readonly stdin: NodeJS.ReadableStream;
  readonly wholeProgram: () => Promise<Command>;
  #globals: GlobalOptions = { endpoints: [DEFAULT_ENDPOINT], token: undefined, tls: undefined, json: false };

  constructor(streams: CliStreams, env: Environment, wholeProgram: () => Promise<Command>) {
    this.wholeProgram = wholeProgram;
    this.out = new Output(streams.stdout, streams.stderr, env);
    this.stdin = streams.stdin;
    this.env = env;
  }

  get globals(): GlobalOptions {
    return this.#globals;
  }

  /** Flags win over the environment, the environment over the defaults. */
  setGlobals(options: RawGlobalOptions): void {
    const flags = options.endpoint ?? [];
    const fromEnvironment = (this.env['PACT_ENDPOINT'] ?? '').split(',').filter((part) => part.trim() !== '');
    const named = flags.length > 0 ? flags.flatMap((flag) => flag.split(',')) : fromEnvironment;
    const origin = flags.length > 0 ? '--endpoint' : 'PACT_ENDPOINT';
    const endpoints = named.map((text) => parseEndpoint(text, origin));
    const token = options.token ?? this.env['PACT_TOKEN'];
    this.#globals = {
      endpoints: endpoints.length > 0 ? [...new Set(endpoints)] : [DEFAULT_ENDPOINT],
      token: token === '' ? undefined : token,
      tls: this.#tlsFlags(options),
      json: options.json === true,
    };
  }

  /** A file is reason enough to speak TLS. */
  #tlsFlags(options: RawGlobalOptions): TlsFlags | undefined {
    const file = (flag: string | undefined, variable: string): string | undefined => {
      const value = flag ?? this.env[variable];
      return value === '' ? undefined : value;
    };
    const flags = {
      ca: file(options.ca, 'PACT_CA'),
      cert: file(options.cert, 'PACT_CERT'),
      key: file(options.key, 'PACT_KEY'),
    };
    if ((flags.cert === undefined) !== (flags.key === undefined))
      throw new CliError('usage', 'a certificate and its key come together: give both --cert and --key');
    const wanted = options.tls ?? ['1', 'true', 'yes'].includes(this.env['PACT_TLS'] ?? '');
    return wanted || flags.ca !== undefined || flags.cert !== undefined ? flags : undefined;
  }
}

/** Accepts `host:port` and `[v6]:port`. */
export function parseEndpoint(text: string, origin: string): string {
  const endpoint = text.trim();
  const match = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<host>[A-Za-z0-9._-]+)):(?<port>\d{1,5})$/u.exec(endpoint);
  const port = Number(match?.groups?.['port']);
  if (match === null || port < 1 || port > 65_535) {
    throw new CliError('usage', `${origin}: "${endpoint}" is not host:port, for example ${DEFAULT_ENDPOINT}`);
  }
  return endpoint;
}
