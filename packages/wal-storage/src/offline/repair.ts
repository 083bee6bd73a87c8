/**
 * Repairing a log from healthy peers. The rule: nothing is invented and nothing that may be committed is dropped.
 *
 * An entry that is missing here is taken from peers only if one of them knows it to be committed and none contradicts:
 * by Raft's Log Matching and Leader Completeness (thesis 3.6), a committed entry is the only one its index can ever
 * have. An entry that nobody knows to be committed cannot be told from one that another peer is about to overwrite, so
 * the repair is refused until the group has committed it.
 *
 * The log is written anew beside the damaged one, which is kept for whoever wants to know what happened.
 */
import type { Entry, SnapshotSource, StoredSnapshot } from '@pact-journal/raft-core';
import { WalStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import type { Layout } from '../layout.ts';
import type { Bounds } from '../meta/metadata.ts';
import { DirectorySnapshotStore } from '../snapshot/directory-snapshot-store.ts';
import { LocalEntries, rebuildLog, finishSwap } from './rebuild.ts';
import { mergeRanges } from './survey.ts';
import type { IndexRange } from './survey.ts';
import { survey, underLock } from './verify.ts';
import type { OfflineOptions, Survey, WalVerification } from './verify.ts';

/** What one peer answers. */
export interface PeerEntries {
  readonly nodeId: number;
  readonly clusterId: string;
  /** Whether a quorum has confirmed, since the peer was asked, that nothing beyond `commitIndex` was committed before. */
  readonly confirmed: boolean;
  /** Up to where this peer knows the log to be committed. */
  readonly commitIndex: number;
  /** Its entries of the range that was asked for, as many as it has. */
  readonly entries: readonly Entry[];
}

export interface RepairPeers {
  /**
   * Asks all healthy peers for entries `from` to `to`, both included; at most 4096 at a time are asked for. Rejects where
   * none of them answers.
   */
  fetchEntries(from: number, to: number): Promise<readonly PeerEntries[]>;
  /** A snapshot that a peer can serve, if any: for what peers have compacted, and for a log without its snapshot. */
  fetchSnapshot?(): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource } | undefined>;
}

export interface RepairOptions extends OfflineOptions {
  /** Decides and fetches, but leaves the directory as it is. */
  readonly dryRun?: boolean;
}

export interface WalRepair {
  /** What was found before. */
  readonly before: WalVerification;
  /** Entries that were taken from peers. */
  readonly fetched: readonly IndexRange[];
  /** Index of a snapshot that was taken from a peer. */
  readonly snapshotIndex: number | undefined;
  /** Entries from here on were dropped: a committed entry before them has a later term, so they were never committed. */
  readonly droppedFrom: number | undefined;
  /** Where the damaged log files are kept; undefined if nothing was changed. */
  readonly damagedLogPath: string | undefined;
}

const FETCH_ENTRIES_MAX = 4096;

/** Findings that no peer can help with: what this node alone knew. */
const HOPELESS = new Set([
  'voteMissing',
  'voteCorrupt',
  'metadataMissing',
  'foreignDirectory',
  'newerFormat',
]);

/**
 * Makes a damaged directory whole again, or fails and leaves it as it was: with `unproven` where peers do not know what
 * is missing to be committed, `contradiction` where they disagree, and `corrupt`, `voteMissing`, ... where what is
 * damaged is known to this node alone (its only way is to join again under a new id).
 */
export function repairWal(
  dataDir: string,
  peers: RepairPeers,
  options: RepairOptions = {},
): Promise<WalRepair> {
  return underLock(dataDir, options, async (fileSystem, layout) => {
    await finishSwap(fileSystem, layout);
    const found = await survey(fileSystem, layout);
    const before = found.verification;
    const nothing = {
      before,
      fetched: [],
      snapshotIndex: undefined,
      droppedFrom: undefined,
      damagedLogPath: undefined,
    };
    if (before.ok) return nothing;
    const bounds = requireRepairable(found);
    const snapshot = await snapshotIfNeeded(found, bounds, peers);
    const start = startAfter(bounds, snapshot?.stored);
    const lost = await lostTail(found, peers);
    const missing = [...before.missing, ...lost].flatMap(({ from, to }) =>
      clip(from, to, start.compactedIndex + 1),
    );
    const fetched = await fetchProven(missing, peers, found);
    const taken = { fetched: mergeRanges(missing), snapshotIndex: snapshot?.stored.meta.index };
    if (options.dryRun === true) return { ...nothing, ...taken };
    if (snapshot !== undefined) await installSnapshot(fileSystem, layout, found, snapshot);
    const local = new LocalEntries(fileSystem, layout, found);
    const last = Math.max(before.lastIndex, start.compactedIndex, ...lost.map(({ to }) => to));
    const { droppedFrom, damagedLogPath } = await rebuildLog(fileSystem, layout, {
      start,
      truncateFrom: bounds.truncateFrom,
      last,
      fetched,
      local,
    });
    return { before, ...taken, droppedFrom, damagedLogPath };
  });
}

function clip(from: number, to: number, first: number): IndexRange[] {
  return to < first ? [] : [{ from: Math.max(from, first), to }];
}

function requireRepairable(found: Survey): Bounds {
  const hopeless = found.verification.findings.find(
    ({ severity, code, path }) =>
      severity === 'damage' &&
      (HOPELESS.has(code) || path?.endsWith('identity.json') || path?.endsWith('bounds.json')),
  );
  if (hopeless === undefined && found.bounds !== undefined && found.clusterId !== undefined)
    return found.bounds;
  throw new WalStorageError(
    'unproven',
    `repairing ${found.layout.raft}: ${hopeless?.message ?? 'its identity is not known'}; no peer knows what was there, so remove this node from the group, wipe the directory and let it join again under a new node id`,
    { path: found.layout.raft },
  );
}

/** A peer's snapshot where the log has none to stand on, or where what is missing begins before all peers' logs. */
async function snapshotIfNeeded(
  found: Survey,
  bounds: Bounds,
  peers: RepairPeers,
): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource } | undefined> {
  const uncovered = bounds.compactedIndex > (found.newestSnapshot?.index ?? 0);
  const from = found.verification.missing[0]?.from;
  const compacted =
    from !== undefined && (await peers.fetchEntries(from, from)).every((peer) => peer.entries.length === 0);
  if (!uncovered && !compacted) return undefined;
  const snapshot = await peers.fetchSnapshot?.();
  const needed = uncovered ? bounds.compactedIndex : (from ?? 0);
  if (snapshot !== undefined && snapshot.stored.meta.index >= needed) return snapshot;
  if (!uncovered) return undefined;
  throw unproven(found, `no peer has a snapshot that reaches entry ${needed}`);
}

function startAfter(bounds: Bounds, stored: StoredSnapshot | undefined): Bounds {
  if (stored === undefined || stored.meta.index <= bounds.compactedIndex)
    return { ...bounds, truncateFrom: undefined };
  const { index, term } = stored.meta;
  return { compactedIndex: index, compactedTerm: term, compactedChecksum: 0, truncateFrom: undefined };
}

function unproven(found: Survey, why: string): WalStorageError {
  return new WalStorageError(
    'unproven',
    `repairing ${found.layout.raft}: ${why}; nothing was changed. Start the repair again once more peers are up and have committed it`,
    { path: found.layout.raft },
  );
}

/**
 * Where the end of the log is gone, nobody can say how long it was, and this node may have acknowledged what it has
 * lost. Whatever was committed with the help of such an acknowledgement was so before this repair began, and is within
 * what a quorum confirms now.
 */
async function lostTail(found: Survey, peers: RepairPeers): Promise<readonly IndexRange[]> {
  const { findings, lastIndex } = found.verification;
  const finding = findings.find(({ code }) => code === 'committedBeyondLog');
  const from = finding?.index;
  if (from === undefined) return [];
  const answers = await peers.fetchEntries(from, from);
  if (!answers.some((answer) => answer.confirmed)) {
    throw unproven(
      found,
      `the log has lost its end from entry ${from} on, and no quorum confirms up to where the log is committed`,
    );
  }
  return [{ from, to: Math.max(lastIndex, ...answers.map((answer) => answer.commitIndex)) }];
}

/** Fetches what is missing, with the proof that it is committed. */
async function fetchProven(
  missing: readonly IndexRange[],
  peers: RepairPeers,
  found: Survey,
): Promise<ReadonlyMap<number, Entry>> {
  const proven = new Map<number, Entry>();
  for (const range of missing) {
    for (let from = range.from; from <= range.to; from += FETCH_ENTRIES_MAX) {
      const to = Math.min(range.to, from + FETCH_ENTRIES_MAX - 1);
      const answers = await peers.fetchEntries(from, to);
      for (let index = from; index <= to; index++) proven.set(index, provenEntry(index, answers, found));
    }
  }
  return proven;
}

function provenEntry(index: number, answers: readonly PeerEntries[], found: Survey): Entry {
  let proven: { readonly entry: Entry; readonly nodeId: number } | undefined;
  for (const { nodeId, clusterId, commitIndex, entries } of answers) {
    if (clusterId !== found.clusterId) {
      throw new WalStorageError(
        'foreignDirectory',
        `repairing ${found.layout.raft}: node ${nodeId} belongs to cluster ${clusterId}`,
      );
    }
    const entry = entries.find((candidate) => candidate.index === index);
    if (entry === undefined || commitIndex < index) continue;
    if (proven !== undefined && !isSame(proven.entry, entry)) {
      throw new WalStorageError(
        'contradiction',
        `repairing ${found.layout.raft}: nodes ${proven.nodeId} and ${nodeId} have committed different entries ${index}; nothing was changed, one of them is damaged itself`,
        { path: found.layout.raft, index },
      );
    }
    proven ??= { entry, nodeId };
  }
  if (proven === undefined) throw unproven(found, `no peer has entry ${index} and knows it to be committed`);
  return proven.entry;
}

function isSame(a: Entry, b: Entry): boolean {
  return a.term === b.term && a.type === b.type && Buffer.compare(a.data, b.data) === 0;
}

async function installSnapshot(
  fileSystem: FileSystem,
  layout: Layout,
  found: Survey,
  snapshot: { readonly stored: StoredSnapshot; readonly source: SnapshotSource },
): Promise<void> {
  const store = new DirectorySnapshotStore({
    dataDir: layout.dataDir,
    clusterId: found.clusterId ?? '',
    fileSystem,
    onWarning: () => undefined,
    payload: 'auto',
  });
  await store.open();
  await store.receive(snapshot.stored, snapshot.source, new AbortController().signal);
  await store.install(snapshot.stored);
  await store.close();
}
