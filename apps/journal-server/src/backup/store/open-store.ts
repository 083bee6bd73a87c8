/** From the address of a store to the store. */
import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BackupError } from '../errors.ts';
import { DirectoryStore } from './directory-store.ts';
import type { ObjectStore } from './object-store.ts';

const REQUEST_TIMEOUT_MS = 30_000;
const PARAMETERS: ReadonlySet<string> = new Set([
  'endpoint',
  'region',
  'path-style',
  'sse',
  'kms-key',
  'timeout',
]);

/** What an address of a store looks like, for help and errors. */
export const STORE_URL_HELP =
  's3://BUCKET/PREFIX?endpoint=URL&region=R&path-style=true, or file:///DIRECTORY';

/**
 * Opens a store by its address: `s3://bucket/prefix` with the parameters `endpoint`, `region`, `path-style=true`,
 * `sse=AES256|aws:kms`, `kms-key=ID` and `timeout=SECONDS`; or a directory, as `file:///path` or a path. Nothing is
 * connected to yet, and the SDK is loaded only for S3. Rejects with `BackupError` `invalidUrl`.
 */
export async function openStore(address: string): Promise<ObjectStore> {
  if (address.startsWith('s3://')) return openS3(address);
  if (address.startsWith('file://')) return new DirectoryStore(directoryOf(address));
  if (/^[a-z][a-z0-9+.-]*:\/\//iu.test(address))
    throw invalid(address, `is of a kind that is not supported; use ${STORE_URL_HELP}`);
  if (address === '') throw invalid(address, `is empty; use ${STORE_URL_HELP}`);
  return new DirectoryStore(isAbsolute(address) ? address : resolve(address));
}

function directoryOf(address: string): string {
  try {
    return fileURLToPath(address);
  } catch (error) {
    throw invalid(address, 'is no directory on this machine, for example file:///mnt/backup', error);
  }
}

async function openS3(address: string): Promise<ObjectStore> {
  const url = parseUrl(address);
  if (url.username !== '' || url.password !== '') {
    throw new BackupError(
      'invalidUrl',
      'the address of a store must not contain credentials; give them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role',
    );
  }
  for (const name of url.searchParams.keys()) {
    if (!PARAMETERS.has(name))
      throw invalid(address, `has the unknown parameter ${name}; there are ${[...PARAMETERS].join(', ')}`);
  }
  const parameter = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  const path = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/gu, '');
  if (url.hostname === '') throw invalid(address, `names no bucket; use ${STORE_URL_HELP}`);
  if (path.split('/').some((part) => part === '.' || part === '..'))
    throw invalid(address, 'has a prefix with . or ..');
  const { S3Store } = await import('./s3-store.ts');
  const store = new S3Store({
    bucket: url.hostname,
    prefix: path === '' ? '' : `${path}/`,
    endpoint: endpointOf(address, parameter('endpoint')),
    region: parameter('region'),
    pathStyle: parameter('path-style') === 'true',
    encryption: encryptionOf(address, parameter('sse')),
    kmsKeyId: parameter('kms-key'),
    requestTimeoutMs: timeoutOf(address, parameter('timeout')),
  });
  try {
    await store.requireRegion();
  } catch (error) {
    store.close();
    throw invalid(
      address,
      'is in no region that is known here; add ?region=R, or set AWS_REGION (any name will do for a server other than AWS)',
      error,
    );
  }
  return store;
}

function endpointOf(address: string, value: string | undefined): string | undefined {
  if (value === undefined || (URL.canParse(value) && /^https?:$/u.test(new URL(value).protocol)))
    return value;
  throw invalid(address, 'has an endpoint that is no address like https://s3.example.org:9000');
}

function parseUrl(address: string): URL {
  try {
    return new URL(address);
  } catch (error) {
    throw invalid(address, `cannot be read; use ${STORE_URL_HELP}`, error);
  }
}

function encryptionOf(address: string, value: string | undefined): 'AES256' | 'aws:kms' | undefined {
  if (value === undefined || value === 'AES256' || value === 'aws:kms') return value;
  throw invalid(address, 'has another sse than AES256 or aws:kms');
}

function timeoutOf(address: string, value: string | undefined): number {
  if (value === undefined) return REQUEST_TIMEOUT_MS;
  const seconds = Number(value);
  if (seconds >= 1 && seconds <= 3_600) return seconds * 1_000;
  throw invalid(address, 'has a timeout that is no number of seconds from 1 to 3600');
}

function invalid(address: string, what: string, cause?: unknown): BackupError {
  return new BackupError('invalidUrl', `the store ${JSON.stringify(address)} ${what}`, { cause });
}
