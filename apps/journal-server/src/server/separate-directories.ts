/** Co-located: the journal's data directory and lattice-server's are apart on the disk, whatever they are called. */
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ServerConfig } from '../config/index.ts';
import { ServerError } from './errors.ts';

/** Fails with {@link ServerError} `refused` where symbolic links lead one of them into the other. */
export async function checkSeparateDirectories({ node, lattice }: ServerConfig): Promise<void> {
  if (node.mode !== 'co-located' || lattice.dataDir === '') return;
  const [ours, theirs] = await Promise.all([real(resolve(node.dataDir)), real(resolve(lattice.dataDir))]);
  if (!`${ours}/`.startsWith(`${theirs}/`) && !`${theirs}/`.startsWith(`${ours}/`)) return;
  throw new ServerError(
    'refused',
    `node.data_dir ${node.dataDir} is ${ours} and lattice.data_dir ${lattice.dataDir} is ${theirs}: they overlap; the two systems share nothing`,
  );
}

/** Where a path leads, as far as it exists. */
async function real(path: string): Promise<string> {
  const found = await realpath(path).catch(() => undefined);
  if (found !== undefined || path === dirname(path)) return found ?? path;
  return join(await real(dirname(path)), basename(path));
}
