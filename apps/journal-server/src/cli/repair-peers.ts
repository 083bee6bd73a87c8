/** Who a log is repaired from: running members, or the directories of stopped ones. */
import { toNodeId } from '@pact-journal/raft-core';
import { isRaftGrpcError, PeerLogs } from '@pact-journal/raft-grpc';
import { inspectWal, openDirectoryPeers, type RepairPeers } from '@pact-journal/wal-storage';
import { CliError } from './errors.ts';

export interface RepairFlags {
  readonly peer?: readonly string[];
  readonly from?: readonly string[];
  readonly dryRun?: boolean;
}

export type OpenPeers = RepairPeers & { close(): Promise<void> };

/** Fails as a usage error unless exactly one of both kinds is given. */
export async function openPeers(dir: string, { peer = [], from = [] }: RepairFlags): Promise<OpenPeers> {
  if (peer.length > 0 === from.length > 0) {
    const running = '--peer 2=10.0.0.2:9444 --peer 3=10.0.0.3:9444';
    throw new CliError(
      'usage',
      `say from whom: from running members (${running}) or from directories (--from DIR)`,
    );
  }
  return from.length > 0 ? openDirectoryPeers(from) : await openRunningPeers(dir, peer.map(parsePeer));
}

function parsePeer(text: string): { readonly id: number; readonly address: string } {
  const [, id, address] = /^([1-9]\d{0,15})=(.+:\d{1,5})$/.exec(text) ?? [];
  if (id === undefined || address === undefined) {
    throw new CliError(
      'usage',
      `--peer ${text}: expected a node id and its Raft address, such as 2=10.0.0.2:9444`,
    );
  }
  return { id: Number(id), address };
}

/** Calls them as the node whose directory it is. */
async function openRunningPeers(
  dir: string,
  members: readonly { readonly id: number; readonly address: string }[],
): Promise<OpenPeers> {
  const { identity } = await inspectWal(dir);
  if (identity === undefined) {
    throw new CliError(
      'damaged',
      `${dir}: its identity.json cannot be read, so no member can be asked on its behalf`,
    );
  }
  const logs = new PeerLogs({
    id: toNodeId(identity.nodeId),
    clusterId: identity.clusterId,
    peers: members.map(({ id, address }) => ({ id: toNodeId(id), address })),
  });
  return {
    fetchEntries: (from, to) => logs.fetchEntries(from, to).catch(asCliError),
    fetchSnapshot: () => logs.fetchSnapshot().catch(asCliError),
    close: async () => {
      logs.close();
    },
  };
}

function asCliError(error: unknown): never {
  if (isRaftGrpcError(error)) throw new CliError('unreachable', error.message, { cause: error });
  throw error;
}
