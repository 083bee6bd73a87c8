/** Healthy nodes' directories as the peers of a repair: stopped nodes, or copies and backups of their directories. */
import type { Entry, SnapshotSource, StoredSnapshot } from '@pact-journal/raft-core';
import { WalStorageError } from '../errors.ts';
import type { DirectoryLock, FileSystem } from '../fs/file-system.ts';
import { DiskFileSystem } from '../fs/disk.ts';
import { layoutOf } from '../layout.ts';
import { DirectorySnapshotStore } from '../snapshot/directory-snapshot-store.ts';
import { LocalEntries } from './rebuild.ts';
import type { PeerEntries, RepairPeers } from './repair.ts';
import { survey } from './verify.ts';
import type { OfflineOptions, Survey } from './verify.ts';

export interface DirectoryPeers extends RepairPeers {
  fetchSnapshot(): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource } | undefined>;
  /** Gives the directories free. */
  close(): Promise<void>;
}

interface Peer {
  readonly lock: DirectoryLock;
  readonly found: Survey;
  readonly nodeId: number;
  readonly clusterId: string;
}

/**
 * Verifies the directories and keeps nodes from starting on them until `close`. What they prove to be committed is what
 * their commit hints and snapshots say. No quorum confirms it, so the lost end of a log cannot be repaired from
 * them. Fails with `corrupt` where one of them is damaged itself, and as `verifyWal` does.
 */
export async function openDirectoryPeers(
  dataDirs: readonly string[],
  options: OfflineOptions = {},
): Promise<DirectoryPeers> {
  const fileSystem = options.fileSystem ?? new DiskFileSystem();
  const peers: Peer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(peers.splice(0).map((peer) => peer.lock.release()));
  };
  try {
    for (const dataDir of dataDirs) peers.push(await openPeer(fileSystem, dataDir));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    close,
    fetchEntries: async (from, to) => peers.map((peer) => entriesOf(fileSystem, peer, from, to)),
    fetchSnapshot: () => newestSnapshot(fileSystem, peers),
  };
}

async function openPeer(fileSystem: FileSystem, dataDir: string): Promise<Peer> {
  const layout = layoutOf(dataDir);
  const lock = await fileSystem.lock(layout.raft);
  try {
    const found = await survey(fileSystem, layout);
    const damage = found.verification.findings.find(({ severity }) => severity === 'damage');
    const { nodeId, clusterId } = found;
    if (damage !== undefined || nodeId === undefined || clusterId === undefined) {
      const why = damage?.message ?? 'it has no identity';
      throw new WalStorageError(
        'corrupt',
        `${layout.raft} cannot help in a repair, it is damaged itself: ${why}`,
        {
          path: layout.raft,
        },
      );
    }
    return { lock, found, nodeId, clusterId };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function entriesOf(fileSystem: FileSystem, peer: Peer, from: number, to: number): PeerEntries {
  const { found, nodeId, clusterId } = peer;
  const local = new LocalEntries(fileSystem, found.layout, found);
  const entries: Entry[] = [];
  for (let index = Math.max(from, found.verification.firstIndex); index <= to; index++) {
    const entry = local.get(index);
    if (entry === undefined) break;
    entries.push(entry);
  }
  const commitIndex = Math.max(found.commitHint, found.newestSnapshot?.index ?? 0);
  return { nodeId, clusterId, confirmed: false, commitIndex, entries };
}

async function newestSnapshot(
  fileSystem: FileSystem,
  peers: readonly Peer[],
): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource } | undefined> {
  const [best] = peers.toSorted(
    (a, b) => (b.found.newestSnapshot?.index ?? 0) - (a.found.newestSnapshot?.index ?? 0),
  );
  if (best?.found.newestSnapshot === undefined) return undefined;
  const source = new DirectorySnapshotStore({
    dataDir: best.found.layout.dataDir,
    clusterId: best.clusterId,
    fileSystem,
    onWarning: () => undefined,
    payload: 'auto',
  });
  await source.newest();
  const stored = source.latest();
  return stored === undefined ? undefined : { stored, source };
}
