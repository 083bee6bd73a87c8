/** Regular files below /etc: content hash, mode and owner. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeltaItem } from '@pact-journal/journal-state';
import { Accounts } from './accounts.ts';
import { isSecretName, SecretScanner } from './secrets.ts';
import { added, isAbsentOrForbidden, sortedByKey, type CaptureSource } from './types.ts';

const CHUNK_BYTES = 64 * 1024;

export async function captureFiles(source: CaptureSource): Promise<readonly DeltaItem[]> {
  const accounts = new Accounts(source.root);
  const items: DeltaItem[] = [];
  await walk(source, '/etc', async (path) => {
    const item = await captureFile(source, accounts, path);
    if (typeof item === 'string') source.leftOut.add('files', item);
    else items.push(item);
  });
  return sortedByKey(items);
}

async function walk(
  source: CaptureSource,
  folder: string,
  visit: (path: string) => Promise<void>,
): Promise<void> {
  let entries;
  try {
    entries = await readdir(join(source.root, folder), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    if (!isAbsentOrForbidden(error)) throw error;
    source.leftOut.add('files', 'unreadable directory');
    return;
  }
  for (const entry of entries) {
    const name = decodeName(entry.name);
    if (name === undefined) source.leftOut.add('files', 'name is not UTF-8');
    else if (entry.isDirectory()) await walk(source, `${folder}/${name}`, visit);
    else if (entry.isSymbolicLink()) source.leftOut.add('files', 'symbolic link');
    else if (entry.isFile()) await visit(`${folder}/${name}`);
    else source.leftOut.add('files', 'device, socket or pipe');
  }
}

function decodeName(name: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(name);
  } catch {
    return undefined;
  }
}

/** The item, or why there is none. Reads the file once, in bounded memory; attributes are those of what was read. */
async function captureFile(
  source: CaptureSource,
  accounts: Accounts,
  path: string,
): Promise<DeltaItem | string> {
  if (isSecretName(path)) return 'secret by name';
  let handle;
  try {
    // NOFOLLOW and NONBLOCK: what was a regular file a moment ago may be a link or a pipe by now.
    handle = await open(
      join(source.root, path),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
  } catch (error) {
    if (isAbsentOrForbidden(error)) return 'unreadable';
    throw error;
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) return 'device, socket or pipe';
    const tooLarge = `larger than ${String(source.etcMaxBytes)} bytes`;
    if (info.size > source.etcMaxBytes) return tooLarge;
    const hash = createHash('sha256');
    const scanner = new SecretScanner();
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let totalBytes = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) break;
      totalBytes += bytesRead;
      if (totalBytes > source.etcMaxBytes) return tooLarge;
      const chunk = buffer.subarray(0, bytesRead);
      hash.update(chunk);
      scanner.update(chunk);
      if (scanner.found) return 'secret by content';
    }
    const spec = { mode: info.mode & 0o7777, owner: accounts.owner(info.uid, info.gid) };
    return added(path, `sha256:${hash.digest('hex')}`, spec);
  } catch (error) {
    if (isAbsentOrForbidden(error)) return 'unreadable';
    throw error;
  } finally {
    await handle.close();
  }
}
