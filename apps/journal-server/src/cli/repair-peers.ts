/** Who a log is repaired from: running members, or the directories of stopped ones. */
import { toNodeId, type Member } from '@pact-journal/raft-core';
import { isRaftGrpcError, PeerLogs, type PeerLogsOptions } from '@pact-journal/raft-grpc';
import { inspectWal, openDirectoryPeers, type RepairPeers } from '@pact-journal/wal-storage';
import { pino } from 'pino';
import { Security } from '../auth/index.ts';
import { formatAddress, loadConfig } from '../config/index.ts';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { asUsageError } from './server-errors.ts';

export interface RepairFlags {
  readonly config?: string;
  readonly peer?: readonly string[];
  readonly from?: readonly string[];
  readonly dryRun?: boolean;
}

export type OpenPeers = RepairPeers & { close(): Promise<void> };

/** Fails as a usage error where it is not clear whom to ask. */
export async function openPeers(context: CliContext, dir: string, flags: RepairFlags): Promise<OpenPeers> {
  const { config, peer = [], from = [] } = flags;
  const running = peer.length > 0 || config !== undefined;
  if (running === from.length > 0) {
    const named = '--peer 2=10.0.0.2:9444 --peer 3=10.0.0.3:9444';
    throw new CliError(
      'usage',
      `say from whom: from running members (--config FILE of the damaged node, or ${named}) or from directories (--from DIR)`,
    );
  }
  return running ? await openRunningPeers(context, dir, flags) : openDirectoryPeers(from);
}

/** Calls them as the node whose directory it is. */
async function openRunningPeers(context: CliContext, dir: string, flags: RepairFlags): Promise<OpenPeers> {
  const { identity } = await inspectWal(dir);
  if (identity === undefined) {
    throw new CliError(
      'damaged',
      `${dir}: its identity.json cannot be read, so no member can be asked on its behalf`,
    );
  }
  const configuration = await configured(context, flags.config);
  const named = flags.peer?.map(parsePeer) ?? configuration.members;
  const peers = named.filter(({ id }) => id !== identity.nodeId);
  if (peers.length === 0) {
    throw new CliError('usage', `${flags.config ?? ''}: names no other member; name them with --peer`);
  }
  const logs = new PeerLogs({
    id: toNodeId(identity.nodeId),
    clusterId: identity.clusterId,
    peers,
    ...configuration.tls,
  });
  return {
    fetchEntries: (first, last) => logs.fetchEntries(first, last).catch(asCliError),
    fetchSnapshot: () => logs.fetchSnapshot().catch(asCliError),
    close: async () => {
      logs.close();
      configuration.close();
    },
  };
}

function parsePeer(text: string): Pick<Member, 'id' | 'address'> {
  const [, id, address] = /^([1-9]\d{0,14})=(.+:\d{1,5})$/.exec(text) ?? [];
  if (id === undefined || address === undefined) {
    throw new CliError(
      'usage',
      `--peer ${text}: expected a node id and its Raft address, such as 2=10.0.0.2:9444`,
    );
  }
  return { id: toNodeId(Number(id)), address };
}

interface Configured {
  readonly members: readonly Pick<Member, 'id' | 'address'>[];
  readonly tls: Pick<PeerLogsOptions, 'channelCredentials' | 'channelOptions'>;
  close(): void;
}

/** Members and certificates of the damaged node's configuration. */
async function configured(context: CliContext, file: string | undefined): Promise<Configured> {
  if (file === undefined) return { members: [], tls: {}, close: () => undefined };
  const sources = { file, environment: context.env, flags: {} };
  const { config } = await loadConfig(sources).catch(asUsageError(context));
  const security = await Security.open({ config, log: pino({ level: 'silent' }) });
  const { channelCredentials, channelOptions } = security.peerTransport();
  return {
    members: config.cluster.members.map(({ id, raft }) => ({
      id: toNodeId(id),
      address: formatAddress(raft),
    })),
    tls: {
      ...(channelCredentials === undefined ? {} : { channelCredentials }),
      ...(channelOptions === undefined ? {} : { channelOptions }),
    },
    close: () => {
      security.close();
    },
  };
}

function asCliError(error: unknown): never {
  if (isRaftGrpcError(error)) throw new CliError('unreachable', error.message, { cause: error });
  throw error;
}
