/** Checking a whole directory offline: everything that is wrong with it, not only the first thing. */
import { join } from 'node:path';
import { WalStorageError, ioError, isWalStorageError, systemErrorCode } from '../errors.ts';
import { DiskFileSystem } from '../fs/disk.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { layoutOf, walFileName } from '../layout.ts';
import type { Layout } from '../layout.ts';
import { FileBuffer, sortOutListing } from '../log/recover.ts';
import { readBounds, readCommitHint, readIdentity, readVote } from '../meta/metadata.ts';
import type { Bounds } from '../meta/metadata.ts';
import { Slices } from '../slices.ts';
import { Catalogue } from '../snapshot/catalogue.ts';
import { countEntries, judgeLog } from './judge.ts';
import type { WalFinding } from './judge.ts';
import { mergeRanges, surveyFile } from './survey.ts';
import type { FileSurvey, IndexRange } from './survey.ts';

export interface WalVerification {
  /** No damage. */
  readonly ok: boolean;
  readonly findings: readonly WalFinding[];
  /** First and last entry of the log; the last may be missing or damaged. `last < first` for an empty log. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly entries: number;
  readonly files: number;
  readonly sizeBytes: number;
  readonly snapshots: number;
  /** Ranges of entries, both ends included, that are missing or damaged and would have to be fetched. */
  readonly missing: readonly IndexRange[];
}

export interface OfflineOptions {
  /** The local disk by default. */
  readonly fileSystem?: FileSystem;
}

/** All that verification and repair know about a directory. */
export interface Survey {
  readonly layout: Layout;
  readonly clusterId: string | undefined;
  readonly nodeId: number | undefined;
  readonly commitHint: number;
  readonly bounds: Bounds | undefined;
  readonly files: readonly FileSurvey[];
  /** Files whose entries must not be relied upon. */
  readonly suspects: ReadonlySet<number>;
  readonly newestSnapshot: { readonly index: number; readonly term: number } | undefined;
  readonly verification: WalVerification;
}

/**
 * Checks identity, vote, bounds, every log line, the chain between them, every snapshot and every chunk. Changes
 * nothing. Fails with `locked` while a node runs on the directory, `metadataMissing` if there is none, `permission` or `io`.
 */
export async function verifyWal(dataDir: string, options: OfflineOptions = {}): Promise<WalVerification> {
  return (await underLock(dataDir, options, survey)).verification;
}

/** Runs `work` while no node can start on the directory. */
export async function underLock<Result>(
  dataDir: string,
  options: OfflineOptions,
  work: (fileSystem: FileSystem, layout: Layout) => Promise<Result>,
): Promise<Result> {
  const fileSystem = options.fileSystem ?? new DiskFileSystem();
  const layout = layoutOf(dataDir);
  await fileSystem.list(layout.raft).catch((error: unknown) => {
    throw new WalStorageError('metadataMissing', `there is no log in ${layout.raft}`, {
      path: layout.raft,
      cause: error,
    });
  });
  const lock = await fileSystem.lock(layout.raft);
  try {
    return await work(fileSystem, layout);
  } finally {
    await lock.release();
  }
}

export async function survey(fileSystem: FileSystem, layout: Layout): Promise<Survey> {
  const findings: WalFinding[] = [];
  const attempt = async <Result>(work: () => Promise<Result>): Promise<Result | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!isWalStorageError(error) || error.code === 'io' || error.code === 'permission') throw error;
      findings.push(findingOf(error));
      return undefined;
    }
  };
  const identity = await attempt(async () => {
    const found = await readIdentity(fileSystem, layout.raft);
    if (found === undefined)
      throw new WalStorageError('metadataMissing', `${layout.raft}/identity.json is missing`, {
        path: layout.raft,
      });
    return found;
  });
  await attempt(() => readVote(fileSystem, layout.raft));
  const bounds = await attempt(() => readBounds(fileSystem, layout.raft));
  const hint = await attempt(() => readCommitHint(fileSystem, layout.raft));
  const catalogue = new Catalogue(fileSystem, layout, (warning) =>
    findings.push({ severity: 'note', ...warning }),
  );
  await attempt(() => catalogue.load(identity === undefined ? [] : [identity.clusterId]));
  const newestSnapshot = catalogue.newest?.stored.meta;

  const files = await surveyFiles(fileSystem, layout, bounds, findings);
  const { missing, suspects, first, last } = judgeLog(layout, files, bounds, findings);
  const commitHint = typeof hint === 'number' ? hint : 0;
  if (bounds !== undefined && bounds.compactedIndex > (newestSnapshot?.index ?? 0)) {
    const message = `the log begins with entry ${first}, and no usable snapshot reaches it`;
    const index = bounds.compactedIndex;
    findings.push({ severity: 'damage', code: 'logWithoutSnapshot', message, path: layout.snapshots, index });
  }
  const end = Math.max(last, newestSnapshot?.index ?? 0);
  if (commitHint > end) {
    const message = `entry ${commitHint} was known to be committed, and the log ends with entry ${end}`;
    findings.push({
      severity: 'damage',
      code: 'committedBeyondLog',
      message,
      path: layout.wal,
      index: end + 1,
    });
    missing.push({ from: end + 1, to: commitHint });
  }
  const verification: WalVerification = {
    ok: findings.every((finding) => finding.severity !== 'damage'),
    findings,
    firstIndex: first,
    lastIndex: Math.max(last, commitHint),
    entries: files.reduce((sum, file) => sum + countEntries(file), 0),
    files: files.length,
    sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
    snapshots: catalogue.count,
    missing: mergeRanges(missing),
  };
  return {
    layout,
    clusterId: identity?.clusterId,
    nodeId: identity?.nodeId,
    commitHint,
    bounds,
    files,
    suspects,
    newestSnapshot,
    verification,
  };
}

function findingOf(error: WalStorageError): WalFinding {
  const { code, message, path, line, index } = error;
  return {
    severity: 'damage',
    code,
    message,
    ...(path === undefined ? {} : { path }),
    ...(line === undefined ? {} : { line }),
    ...(index === undefined ? {} : { index }),
  };
}

async function surveyFiles(
  fileSystem: FileSystem,
  layout: Layout,
  bounds: Bounds | undefined,
  findings: WalFinding[],
): Promise<FileSurvey[]> {
  const items = await fileSystem.list(layout.wal).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw ioError(error, 'listing the log', layout.wal);
    const message = `the directory ${layout.wal} is missing`;
    findings.push({ severity: 'damage', code: 'metadataMissing', message, path: layout.wal });
    return [];
  });
  const listing = sortOutListing(items);
  for (const name of [...listing.foreign, ...listing.temporaries]) {
    const path = join(layout.wal, name);
    findings.push({ severity: 'note', code: 'foreignFile', message: `${path} is not a log file`, path });
  }
  const buffer = new FileBuffer();
  const slices = new Slices();
  const surveys: FileSurvey[] = [];
  for (const file of listing.files) {
    // Entries that a truncation was to remove do not exist.
    const end = bounds?.truncateFrom ?? Infinity;
    if (file >= end) continue;
    const found = surveyFile(buffer.read(fileSystem, join(layout.wal, walFileName(file))), file);
    surveys.push((found.intact.at(-1)?.to ?? 0) < end ? found : clipped(found, end));
    await slices.breathe();
  }
  return surveys;
}

/** A whole file in the middle of which a truncation was begun, as it will be: only its first entries count. */
function clipped(survey: FileSurvey, end: number): FileSurvey {
  const intact = survey.intact
    .filter(({ from }) => from < end)
    .map(({ from, to }) => ({ from, to: Math.min(to, end - 1) }));
  return { ...survey, intact };
}
