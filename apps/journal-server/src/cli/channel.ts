/** How the command line reaches a journal: in plain text, or with TLS and perhaps a certificate of its own. */
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { CliError } from './errors.ts';

/** Files of PEM; all undefined: TLS with the system's authorities and no certificate. */
export interface TlsFlags {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** What clients of this project take: empty for plain text. Fails with `usage` where a file cannot be used. */
export async function channelOf({
  tls,
  token,
}: {
  readonly tls: TlsFlags | undefined;
  readonly token: string | undefined;
}): Promise<{ readonly token?: string; readonly credentials?: ChannelCredentials }> {
  const known = token === undefined ? {} : { token };
  const options = await tlsOptions(tls);
  if (options === undefined) return known;
  const { credentials } = await import('@grpc/grpc-js');
  return { ...known, credentials: credentials.createFromSecureContext(createSecureContext(options)) };
}

/** For node:tls; undefined for plain text. */
export async function tlsOptions(tls: TlsFlags | undefined): Promise<SecureContextOptions | undefined> {
  if (tls === undefined) return undefined;
  const [ca, cert, key] = await Promise.all([
    readPem('--ca', tls.ca),
    readPem('--cert', tls.cert),
    readPem('--key', tls.key),
  ]);
  const options: SecureContextOptions = {
    minVersion: 'TLSv1.3',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  try {
    createSecureContext(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError('usage', `--ca, --cert and --key cannot be used together as they are: ${reason}`, {
      cause: error,
    });
  }
  return options;
}

async function readPem(option: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError('usage', `${option}: cannot be read: ${reason}`, { cause: error });
  });
  if (!text.includes('-----BEGIN ')) throw new CliError('usage', `${option}: ${path} holds nothing in PEM`);
  return text;
}
