import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A node's log: its files by ascending index, without those that a killed node had ready for what came next. */
export function logFiles(dataDir: string): { readonly folder: string; readonly names: readonly string[] } {
  const folder = join(dataDir, 'raft', 'wal');
  const names = readdirSync(folder).filter((name) => /^\d+\.json$/.test(name));
  return { folder, names: names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)) };
}
