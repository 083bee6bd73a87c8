/** Where things are in a backup. Names are a contract with those who read backups with tools of their own. */

/** Whose backup it is. */
export const IDENTITY_KEY = 'backup.json';
export const WRITERS = 'writers/';
export const SNAPSHOTS = 'snapshots/';
export const CHUNKS = 'chunks/';
export const LOG = 'log/';
/** Every folder of a backup. */
export const FOLDERS = [WRITERS, SNAPSHOTS, CHUNKS, LOG] as const;

const DIGITS = 16;

/** So that the order of names is that of numbers. */
const padded = (value: number): string => String(value).padStart(DIGITS, '0');

const numberOf = (text: string | undefined): number | undefined => {
  const value = text === undefined ? Number.NaN : Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
};

export function writerKey(term: number): string {
  return `${WRITERS}${padded(term)}.json`;
}

export function parseWriterKey(key: string): number | undefined {
  return numberOf(/^writers\/(\d{16})\.json$/u.exec(key)?.[1]);
}

export function snapshotKey(index: number, term: number): string {
  return `${SNAPSHOTS}${padded(index)}-${padded(term)}.json`;
}

export function parseSnapshotKey(key: string): { readonly index: number; readonly term: number } | undefined {
  const match = /^snapshots\/(\d{16})-(\d{16})\.json$/u.exec(key);
  const [index, term] = [numberOf(match?.[1]), numberOf(match?.[2])];
  return index === undefined || term === undefined ? undefined : { index, term };
}

export function chunkKey(sha256: string): string {
  return `${CHUNKS}${sha256}`;
}

export function parseChunkKey(key: string): string | undefined {
  return /^chunks\/([0-9a-f]{64})$/u.exec(key)?.[1];
}

/** Log objects are named by their first entry alone: of two writers that go on from the same place one succeeds. */
export function logKey(firstIndex: number): string {
  return `${LOG}${padded(firstIndex)}.jsonl.zst`;
}

export function parseLogKey(key: string): number | undefined {
  return numberOf(/^log\/(\d{16})\.jsonl\.zst$/u.exec(key)?.[1]);
}
