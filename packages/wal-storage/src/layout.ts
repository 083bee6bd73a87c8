/** Where things are below the data directory. Names are a contract with operators and their tools. */
import { join } from 'node:path';

/** Format of all files below `raft/`. A directory with a larger number is refused. */
export const FORMAT_VERSION = 1;

export interface Layout {
  readonly dataDir: string;
  readonly raft: string;
  readonly wal: string;
  readonly snapshots: string;
  readonly chunks: string;
  /** Half-received manifests and chunks; a transfer goes on with them after a restart. */
  readonly partial: string;
}

export function layoutOf(dataDir: string): Layout {
  const raft = join(dataDir, 'raft');
  const snapshots = join(raft, 'snapshots');
  return {
    dataDir,
    raft,
    wal: join(raft, 'wal'),
    snapshots,
    chunks: join(snapshots, 'chunks'),
    partial: join(snapshots, 'partial'),
  };
}

/** Whose directory it is. Written last when a directory is set up: without it, nothing else counts. */
export const IDENTITY_FILE = 'identity.json';
/** Term and vote. */
export const VOTE_FILE = 'vote.json';
/** The commit hint. */
export const COMMITTED_FILE = 'committed.json';
/** Where the log begins, and a truncation that has begun. */
export const BOUNDS_FILE = 'bounds.json';

/** Metadata files are one line; anything larger was not written by us. */
export const METADATA_SIZE_BYTES_MAX = 64 * 1024;

const WAL_FILE = /^([1-9][0-9]{0,15})\.json$/;
const SNAPSHOT_FILE = /^snap-(0|[1-9][0-9]{0,15})-([1-9][0-9]{0,15})\.json$/;
const CHUNK_FILE = /^([0-9a-f]{64})\.jsonl\.zst$/;

export function walFileName(firstIndex: number): string {
  return `${firstIndex}.json`;
}

/** Index of the first entry in a log file of that name; undefined for other names. */
export function parseWalFileName(name: string): number | undefined {
  const match = WAL_FILE.exec(name);
  const index = Number(match?.[1]);
  return match !== null && Number.isSafeInteger(index) ? index : undefined;
}

export function snapshotFileName(term: number, index: number): string {
  return `snap-${term}-${index}.json`;
}

export function parseSnapshotFileName(
  name: string,
): { readonly term: number; readonly index: number } | undefined {
  const match = SNAPSHOT_FILE.exec(name);
  if (match === null) return undefined;
  const term = Number(match[1]);
  const index = Number(match[2]);
  return Number.isSafeInteger(term) && Number.isSafeInteger(index) ? { term, index } : undefined;
}

export function chunkFileName(sha256: string): string {
  return `${sha256}.jsonl.zst`;
}

export function parseChunkFileName(name: string): string | undefined {
  return CHUNK_FILE.exec(name)?.[1];
}

export function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
