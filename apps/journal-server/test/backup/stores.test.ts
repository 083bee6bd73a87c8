/** The two kinds of stores keep the same promises, and say what is wrong in the same words. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { BackupErrorCode } from '../../src/backup/errors.ts';
import { listAll, sourceOf, type ObjectStore } from '../../src/backup/store/object-store.ts';
import { openStore } from '../../src/backup/store/open-store.ts';
import { failureLine, runHere } from '../cli/run-cli.ts';
import { S3_ENVIRONMENT, S3Server } from '../support/s3-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'pact-stores-'));
let s3: S3Server;
let plainS3: S3Server;
let refusingS3: S3Server;
let places = 0;

beforeAll(async () => {
  Object.assign(process.env, S3_ENVIRONMENT);
  s3 = await S3Server.start();
  plainS3 = await S3Server.start({ conditional: false });
  refusingS3 = await S3Server.start({ conditional: 'refused' });
});

afterAll(async () => {
  await s3.close();
  await plainS3.close();
  await refusingS3.close();
  rmSync(directory, { recursive: true });
});

afterEach(() => {
  s3.fault = () => undefined;
});

function newDirectory(): string {
  places += 1;
  const path = join(directory, String(places));
  mkdirSync(path);
  return path;
}

const KINDS: readonly (readonly [string, () => string])[] = [
  ['a directory', () => `file://${newDirectory()}`],
  ['an S3 bucket', () => s3.url(`p${String((places += 1))}`)],
  ['an S3 bucket of a server without conditional writes', () => plainS3.url(`p${String((places += 1))}`)],
  ['an S3 bucket of a server that refuses them', () => refusingS3.url(`p${String((places += 1))}`)],
];

const bytes = (text: string): Uint8Array => Buffer.from(text);
const failsWith = (code: BackupErrorCode): unknown => expect.objectContaining({ name: 'BackupError', code });

describe.each(KINDS)('%s', (_name, place) => {
  async function withStore(use: (store: ObjectStore) => Promise<void>): Promise<void> {
    const store = await openStore(place());
    try {
      await use(store);
    } finally {
      store.close();
    }
  }

  test('gives back what was written, whole and in ranges', () =>
    withStore(async (store) => {
      await store.create('log/a', bytes('0123456789'));
      expect(Buffer.from(await store.get('log/a', 100)).toString()).toBe('0123456789');
      expect(Buffer.from(await store.read('log/a', 3, 4)).toString()).toBe('3456');
      expect(Buffer.from(await store.read('log/a', 8, 100)).toString()).toBe('89');
      await expect(store.get('log/a', 9)).rejects.toEqual(failsWith('damaged'));
      await expect(store.get('log/b', 9)).rejects.toEqual(failsWith('notFound'));
    }));

  test('creates an object once', () =>
    withStore(async (store) => {
      await store.create('log/a', bytes('first'));
      await expect(store.create('log/a', bytes('second'))).rejects.toEqual(failsWith('exists'));
      expect(Buffer.from(await store.get('log/a', 100)).toString()).toBe('first');
    }));

  test('lists in order, from a key on, one folder alone, and removes', () =>
    withStore(async (store) => {
      for (const key of ['log/c', 'log/a', 'log/b', 'chunks/x']) await store.create(key, bytes(key));
      expect((await listAll(store, 'log/')).map(({ key }) => key)).toEqual(['log/a', 'log/b', 'log/c']);
      expect((await listAll(store, 'log/', 'log/a')).map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
        ['log/b', 5],
        ['log/c', 5],
      ]);
      await store.remove(['log/a', 'log/c', 'log/never']);
      expect((await listAll(store, 'log/')).map(({ key }) => key)).toEqual(['log/b']);
      expect(await listAll(store, 'writers/')).toEqual([]);
    }));

  test('takes objects that are larger than what it holds in memory', () =>
    withStore(async (store) => {
      const large = Buffer.alloc(20 * 1024 * 1024 + 17, 'pact');
      await store.write('chunks/large', sourceOf(large));
      expect(Buffer.from(await store.get('chunks/large', large.length)).equals(large)).toBe(true);
    }));
});

test('of writers of the same object exactly one succeeds', async () => {
  for (const url of [`file://${newDirectory()}`, s3.url('race')]) {
    const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(url)));
    await stores[0]?.create('log/first', bytes('conditional writes are known now'));
    const outcomes = await Promise.allSettled(
      stores.map((store, at) => store.create('log/contested', bytes(String(at)))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const store of stores) store.close();
  }
});

test('finding out whether writes are conditional leaves no object behind', async () => {
  for (const server of [s3, plainS3, refusingS3]) {
    const store = await openStore(server.url('probing'));
    await store.create('log/a', bytes('a'));
    store.close();
    const whole = await openStore(server.url(''));
    expect(await listAll(whole, 'probing/')).toEqual([]);
    expect((await listAll(whole, 'probing/log/')).map(({ key }) => key)).toEqual(['probing/log/a']);
    whole.close();
  }
});

test('large objects go up in parts, encrypted and with a checksum as the address says', async () => {
  const store = await openStore(s3.url('sse', '&sse=aws:kms&kms-key=alias/backup'));
  await store.write('chunks/large', sourceOf(Buffer.alloc(17 * 1024 * 1024)));
  await store.write('chunks/small', sourceOf(bytes('small')));
  store.close();
  expect(s3.requests.filter((line) => line.includes('sse/chunks/large?partNumber='))).toHaveLength(3);
  const small = s3.headers.get('PUT /backups/sse/chunks/small');
  expect(small).toMatchObject({
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': 'alias/backup',
    'x-amz-checksum-sha256': expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/u) as string,
  });
});

test('a bucket that refuses, is full, is away or does not answer is told apart', async () => {
  const store = await openStore(s3.url('faults', '&timeout=1'));
  await store.create('log/a', bytes('there'));
  const refuse = (status: number, code: string): void => {
    s3.fault = () => ({ kind: 'refuse', status, code });
  };
  refuse(403, 'AccessDenied');
  await expect(store.get('log/a', 10)).rejects.toEqual(failsWith('denied'));
  refuse(507, 'InsufficientStorage');
  await expect(store.create('log/b', bytes('b'))).rejects.toEqual(failsWith('full'));
  refuse(500, 'InternalError');
  await expect(store.get('log/a', 10)).rejects.toEqual(failsWith('unavailable'));
  refuse(400, 'BadDigest');
  await expect(store.create('log/b', bytes('b'))).rejects.toEqual(failsWith('checksumMismatch'));
  s3.fault = () => ({ kind: 'hang' });
  await expect(store.get('log/a', 10)).rejects.toEqual(failsWith('slow'));
  store.close();
  const nobody = await openStore('s3://b/p?endpoint=http://127.0.0.1:9&region=r&path-style=true');
  await expect(nobody.get('log/a', 10)).rejects.toEqual(failsWith('unavailable'));
  nobody.close();
});

test('a directory that is not mounted, not writable or full is told apart', async () => {
  const missing = await openStore(join(directory, 'missing'));
  await expect(missing.create('log/a', bytes('a'))).rejects.toEqual(failsWith('unavailable'));
  await expect(listAll(missing, 'log/')).rejects.toEqual(failsWith('unavailable'));
  const place = newDirectory();
  if (process.getuid?.() !== 0) {
    chmodSync(place, 0o500);
    const closed = await openStore(place);
    await expect(closed.create('log/a', bytes('a'))).rejects.toEqual(failsWith('denied'));
  }
});

test('what is no plain file is no object: links and folders are neither listed nor read', async () => {
  const place = newDirectory();
  const store = await openStore(place);
  await store.create('log/real', bytes('real'));
  writeFileSync(join(place, 'secret'), 'outside of the folder');
  symlinkSync(join(place, 'secret'), join(place, 'log', 'link'));
  mkdirSync(join(place, 'log', 'folder'));
  expect((await listAll(store, 'log/')).map(({ key }) => key)).toEqual(['log/real']);
  await expect(store.get('log/link', 100)).rejects.toEqual(failsWith('damaged'));
  await expect(store.get('../secret', 100)).rejects.toThrow('assertion failed');
});

test('what a writer that died has left half-written goes after its time, and nothing else does', async () => {
  const place = newDirectory();
  const store = await openStore(place);
  await store.create('log/real', bytes('real'));
  for (const name of ['.tmp-old', '.tmp-young', 'real']) {
    const path = join(place, 'log', name);
    if (name !== 'real') writeFileSync(path, 'half');
    if (name !== '.tmp-young') utimesSync(path, 1_000, 1_000);
  }
  await store.removeUnfinished('log/', 2_000_000);
  expect(readdirSync(join(place, 'log')).toSorted()).toEqual(['.tmp-young', 'real']);
  await store.removeUnfinished('chunks/', 2_000_000);
});

/** A small file system of its own; undefined where this user may not mount one. */
function mountSmall(path: string): (() => void) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return () => execFileSync('umount', [path], { stdio: 'ignore' });
}

test('a file system that runs full refuses in words, keeps what it has, and takes more once there is room', async (context) => {
  const place = newDirectory();
  const unmount = mountSmall(place);
  if (unmount === undefined) {
    console.warn(
      'NOT TESTED: a file system that runs full. Mounting a tmpfs needs root, which this run does not have',
    );
    return context.skip('mounting a tmpfs needs root');
  }
  try {
    const store = await openStore(place);
    await store.create('log/first', bytes('first'));
    await store.create('log/filler', Buffer.alloc(150 * 1024));
    await expect(store.create('log/large', Buffer.alloc(200 * 1024))).rejects.toEqual(failsWith('full'));
    expect(Buffer.from(await store.get('log/first', 10)).toString()).toBe('first');
    expect(readdirSync(join(place, 'log')).toSorted()).toEqual(['filler', 'first']);
    await store.remove(['log/filler']);
    await store.create('log/large', Buffer.alloc(200 * 1024));
  } finally {
    unmount();
  }
});

test.each([
  ['s3://key:secret@bucket/prefix', 'credentials'],
  ['s3://bucket/a/../b?nope=1', 'unknown parameter nope'],
  ['s3://bucket/p?sse=rot13', 'sse'],
  ['s3://bucket/p?region=r&endpoint=nowhere', 'endpoint'],
  ['gs://bucket/p', 'not supported'],
  ['', 'empty'],
])('the address %j is refused', async (address, reason) => {
  await expect(openStore(address)).rejects.toThrow(reason);
});

test('a bucket in a region that nothing names is a wrong address, and it is said where to name one', async () => {
  for (const file of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE'])
    vi.stubEnv(file, join(directory, 'none'));
  vi.stubEnv('AWS_REGION', undefined);
  try {
    await expect(openStore('s3://bucket/p')).rejects.toEqual(failsWith('invalidUrl'));
    const listed = await runHere(['backup', 'list', 's3://bucket/p']);
    expect(listed.code).toBe(2);
    expect(failureLine(listed)).toMatch(
      /"s3:\/\/bucket\/p" is in no region .* add \?region=R, or set AWS_REGION/u,
    );
  } finally {
    vi.unstubAllEnvs();
  }
});
