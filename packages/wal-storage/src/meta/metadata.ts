/** The small files beside the log: identity, vote, bounds and the commit hint. Each is one checksummed JSON line. */
import { join } from 'node:path';
import { naturalField, openDocument, sealDocument, stringField } from '../checksum.ts';
import type { JsonObject } from '../checksum.ts';
import { WalStorageError, ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import {
  BOUNDS_FILE,
  COMMITTED_FILE,
  FORMAT_VERSION,
  IDENTITY_FILE,
  METADATA_SIZE_BYTES_MAX,
  VOTE_FILE,
} from '../layout.ts';
import { readWholeFile, replaceFile } from './replace-file.ts';

export interface Identity {
  readonly clusterId: string;
  readonly nodeId: number;
}

export interface Vote {
  readonly term: number;
  /** 0: none in this term. */
  readonly vote: number;
}

/** Where the log begins, and what must be finished first if a crash interrupted it. */
export interface Bounds {
  /** The last entry that is gone because a snapshot covers it; 0 and 0 for a whole log. */
  readonly compactedIndex: number;
  readonly compactedTerm: number;
  /** Checksum of that entry's line, which the first line held continues; 0 where it is not known. */
  readonly compactedChecksum: number;
  /** Present while entries from this index on are being removed: whatever is still there must not come back. */
  readonly truncateFrom: number | undefined;
}

/** What a metadata file says: its document, nothing at all, or rubbish. */
type Found = { readonly document: JsonObject } | 'missing' | 'unreadable';

async function readDocument(fileSystem: FileSystem, directory: string, name: string): Promise<Found> {
  const path = join(directory, name);
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readWholeFile(fileSystem, path, METADATA_SIZE_BYTES_MAX);
  } catch (error) {
    throw ioError(error, `reading ${name}`, path);
  }
  if (bytes === undefined) return 'missing';
  const document = openDocument(bytes);
  return document === undefined ? 'unreadable' : { document };
}

async function writeDocument(
  fileSystem: FileSystem,
  directory: string,
  name: string,
  fields: JsonObject,
): Promise<void> {
  try {
    await replaceFile(fileSystem, directory, name, [sealDocument(fields)]);
  } catch (error) {
    throw ioError(error, `replacing ${name}`, join(directory, name));
  }
}

function unreadable(directory: string, name: string, repair: readonly string[]): WalStorageError {
  const path = join(directory, name);
  return new WalStorageError('corrupt', `${path} is damaged: its checksum does not match its contents`, {
    path,
    line: 1,
    repair,
  });
}

/** What helps when metadata is gone: nothing short of the data of others. */
export const REJOIN_REPAIR: readonly string[] = [
  'restore the file from a backup of this very node taken after its last start',
  'remove this node from the group, wipe the directory and let it join again under a new node id',
];

/** The identity, or undefined for a directory that was never set up. */
export async function readIdentity(
  fileSystem: FileSystem,
  directory: string,
): Promise<(Identity & { readonly format: number }) | undefined> {
  const found = await readDocument(fileSystem, directory, IDENTITY_FILE);
  if (found === 'missing') return undefined;
  if (found === 'unreadable') throw unreadable(directory, IDENTITY_FILE, REJOIN_REPAIR);
  const format = naturalField(found.document, 'format');
  const clusterId = stringField(found.document, 'cluster_id');
  const nodeId = naturalField(found.document, 'node_id');
  if (format !== undefined && format > FORMAT_VERSION) {
    const path = join(directory, IDENTITY_FILE);
    throw new WalStorageError(
      'newerFormat',
      `${path} says format ${format}, this version reads up to format ${FORMAT_VERSION}: start the version that wrote it, or a newer one`,
      { path },
    );
  }
  if (format === undefined || clusterId === undefined || nodeId === undefined) {
    throw unreadable(directory, IDENTITY_FILE, REJOIN_REPAIR);
  }
  return { format, clusterId, nodeId };
}

export function writeIdentity(fileSystem: FileSystem, directory: string, identity: Identity): Promise<void> {
  return writeDocument(fileSystem, directory, IDENTITY_FILE, {
    format: FORMAT_VERSION,
    cluster_id: identity.clusterId,
    node_id: identity.nodeId,
  });
}

/** The vote of a directory that was set up. Its absence could mean a second vote in one term, so it is damage. */
export async function readVote(fileSystem: FileSystem, directory: string): Promise<Vote> {
  const path = join(directory, VOTE_FILE);
  const found = await readDocument(fileSystem, directory, VOTE_FILE);
  if (found === 'missing') {
    throw new WalStorageError(
      'voteMissing',
      `${path} is missing: without it this node could vote twice in one term`,
      {
        path,
        repair: REJOIN_REPAIR,
      },
    );
  }
  const term = found === 'unreadable' ? undefined : naturalField(found.document, 'term');
  const vote = found === 'unreadable' ? undefined : naturalField(found.document, 'vote');
  if (term === undefined || vote === undefined) {
    throw new WalStorageError(
      'voteCorrupt',
      `${path} is damaged: without it this node could vote twice in one term`,
      {
        path,
        line: 1,
        repair: REJOIN_REPAIR,
      },
    );
  }
  return { term, vote };
}

export function writeVote(fileSystem: FileSystem, directory: string, vote: Vote): Promise<void> {
  return writeDocument(fileSystem, directory, VOTE_FILE, { term: vote.term, vote: vote.vote });
}

export async function readBounds(fileSystem: FileSystem, directory: string): Promise<Bounds> {
  const path = join(directory, BOUNDS_FILE);
  const found = await readDocument(fileSystem, directory, BOUNDS_FILE);
  if (found === 'missing') {
    throw new WalStorageError('metadataMissing', `${path} is missing: it says where the log begins`, {
      path,
      repair: REJOIN_REPAIR,
    });
  }
  if (found === 'unreadable') throw unreadable(directory, BOUNDS_FILE, REJOIN_REPAIR);
  const compactedIndex = naturalField(found.document, 'compacted_index');
  const compactedTerm = naturalField(found.document, 'compacted_term');
  const compactedChecksum = naturalField(found.document, 'compacted_checksum');
  if (compactedIndex === undefined || compactedTerm === undefined || compactedChecksum === undefined) {
    throw unreadable(directory, BOUNDS_FILE, REJOIN_REPAIR);
  }
  return {
    compactedIndex,
    compactedTerm,
    compactedChecksum,
    truncateFrom: naturalField(found.document, 'truncate_from'),
  };
}

export function writeBounds(fileSystem: FileSystem, directory: string, bounds: Bounds): Promise<void> {
  return writeDocument(fileSystem, directory, BOUNDS_FILE, {
    compacted_index: bounds.compactedIndex,
    compacted_term: bounds.compactedTerm,
    compacted_checksum: bounds.compactedChecksum,
    ...(bounds.truncateFrom === undefined ? {} : { truncate_from: bounds.truncateFrom }),
  });
}

/** The commit hint is overwritten in place, so it always has the same size and fits in one sector. */
const HINT_SIZE_BYTES = 128;

/** The commit hint's file contents: padded with spaces so that a write never changes the file's size. */
export function encodeCommitHint(index: number, term: number): Buffer {
  const sealed = sealDocument({ index, term, padding: '' });
  return sealDocument({ index, term, padding: ' '.repeat(HINT_SIZE_BYTES - sealed.length) });
}

/** The highest index that was known to be committed, `unreadable` if the file was torn, or undefined without one. */
export async function readCommitHint(
  fileSystem: FileSystem,
  directory: string,
): Promise<number | 'unreadable' | undefined> {
  const found = await readDocument(fileSystem, directory, COMMITTED_FILE);
  if (found === 'missing') return undefined;
  return found === 'unreadable' ? 'unreadable' : (naturalField(found.document, 'index') ?? 'unreadable');
}
