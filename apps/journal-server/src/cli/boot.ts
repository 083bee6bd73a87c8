/** Boots as a compute node does, and writes what it got. */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  BootClient,
  decompressBounded,
  parseOverlay,
  RAW_SIZE_BYTES_MAX,
  type NodeConfig,
} from '@pact-journal/boot-stream';
import { DELTA_KINDS, type VClusterPolicy } from '@pact-journal/journal-state';
import { makeDirectory } from '../directories.ts';
import { channelOf } from './channel.ts';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';

/** A compressed overlay's JSON. Throws where it is damaged or too large. */
export function decodeOverlay(data: Uint8Array): ReturnType<typeof parseOverlay> {
  return parseOverlay(decompressBounded(data, RAW_SIZE_BYTES_MAX));
}

/** What `boot --json` prints. */
export interface BootReport {
  readonly node_id: string;
  readonly vcluster_id: string;
  /** Sequence that the overlay is of. */
  readonly base_version: number;
  /** Latest sequence of the node's own scope; 0 where there is none. */
  readonly node_version: number;
  readonly overlay_checksum: string;
  readonly overlay_size_bytes: number;
  readonly delta_size_bytes: number;
  readonly duration_ms: number;
  readonly policy: VClusterPolicy;
  readonly config: NodeConfig;
}

export interface BootRequest {
  readonly nodeId: string;
  /** Undefined: the one that the node is assigned to. */
  readonly vclusterId: string | undefined;
  /** Wait for a state at least as new as this. */
  readonly minSequence: number | undefined;
}

/** Streams both phases, verifies, decompresses and applies. */
export async function bootNode(context: CliContext, request: BootRequest): Promise<BootReport> {
  const { endpoints } = context.globals;
  const client = new BootClient({ endpoints, ...(await channelOf(context.globals)) });
  try {
    const boot = await client.boot({
      nodeId: request.nodeId,
      ...(request.vclusterId === undefined ? {} : { vclusterId: request.vclusterId }),
      ...(request.minSequence === undefined ? {} : { minSequence: request.minSequence }),
    });
    return {
      node_id: boot.nodeId,
      vcluster_id: boot.vclusterId,
      base_version: boot.baseVersion,
      node_version: boot.nodeVersion,
      overlay_checksum: boot.overlayChecksum,
      overlay_size_bytes: boot.overlaySizeBytes,
      delta_size_bytes: boot.deltaSizeBytes,
      duration_ms: Number(boot.durationMs.toFixed(2)),
      policy: boot.policy,
      config: boot.config,
    };
  } finally {
    client.close();
  }
}

/** Writes a file a kind, and `boot.json` last: where it is, the rest is whole. */
export async function writeBoot(folder: string, report: BootReport): Promise<void> {
  const { config, ...summary } = report;
  try {
    await makeDirectory(folder);
    for (const kind of DELTA_KINDS) await replaceFile(join(folder, `${kind}.json`), config[kind]);
    await replaceFile(join(folder, 'boot.json'), summary);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError('failed', `cannot write the configuration to ${folder}: ${reason}`, { cause: error });
  }
}

/** Whoever reads the file sees the old one or the new one whole. */
async function replaceFile(path: string, content: unknown): Promise<void> {
  const temporary = `${path}.${String(process.pid)}.tmp`;
  await writeFile(temporary, `${JSON.stringify(content, null, 2)}\n`);
  await rename(temporary, path);
}
