/** A stopped node's data directory as proof: its log and snapshots, and the state that they lead to. */
import type { JournalState } from '@pact-journal/journal-state';
import { isJournalStateError } from '@pact-journal/journal-state';
import {
  DirectorySnapshotStore,
  DiskFileSystem,
  isWalStorageError,
  openDirectoryPeers,
  verifyWal,
  type DirectoryPeers,
} from '@pact-journal/wal-storage';
import { JournalMachine } from '../server/journal-machine.ts';
import { checkOverlays } from './overlays.ts';

export interface DirectoryVerification {
  /** Empty: the directory is whole. */
  readonly findings: readonly string[];
  readonly clusterId: string | undefined;
  readonly nodeId: number | undefined;
  /** What is known to be committed leads to this; undefined where damage is in the way. */
  readonly state: JournalState | undefined;
  readonly index: number;
  /** Log entries after that, of which this node does not know whether they are committed. */
  readonly uncommitted: number;
}

const ENTRIES_AT_ONCE = 2_000;

/** Rejects as `verifyWal` does: with `locked` while a node runs on the directory, `permission` or `io`. */
export async function verifyDataDirectory(dataDir: string): Promise<DirectoryVerification> {
  const wal = await verifyWal(dataDir);
  const findings = wal.findings.flatMap(({ severity, message }) => (severity === 'damage' ? [message] : []));
  const nothing = { clusterId: undefined, nodeId: undefined, state: undefined, index: 0, uncommitted: 0 };
  if (findings.length > 0) return { ...nothing, findings };
  const peers = await openDirectoryPeers([dataDir]);
  try {
    return await readState(dataDir, peers, wal.lastIndex);
  } catch (error) {
    if (isJournalStateError(error) || isWalStorageError(error, 'corrupt'))
      return { ...nothing, findings: [error.message] };
    throw error;
  } finally {
    await peers.close();
  }
}

async function readState(
  dataDir: string,
  peers: DirectoryPeers,
  lastIndex: number,
): Promise<DirectoryVerification> {
  const [about] = await peers.fetchEntries(1, 0);
  if (about === undefined) throw new Error('assertion failed: a directory that was opened is a peer');
  const { clusterId, nodeId, commitIndex } = about;
  const machine = new JournalMachine();
  const snapshots = new DirectorySnapshotStore({
    dataDir,
    clusterId,
    fileSystem: new DiskFileSystem(),
    onWarning: () => undefined,
    payload: 'json',
  });
  await snapshots.newest();
  const stored = snapshots.latest();
  if (stored !== undefined) await machine.restore(snapshots.load(stored));
  let index: number = stored?.meta.index ?? 0;
  while (index < commitIndex) {
    const [{ entries } = { entries: [] }] = await peers.fetchEntries(
      index + 1,
      Math.min(commitIndex, index + ENTRIES_AT_ONCE),
    );
    if (entries.length === 0) break;
    for (const entry of entries) if (entry.type === 'normal' && entry.data.length > 0) machine.apply([entry]);
    index += entries.length;
  }
  const { state } = machine;
  const findings = [...checkOverlays(state)];
  return { findings, clusterId, nodeId, state, index, uncommitted: Math.max(0, lastIndex - index) };
}
