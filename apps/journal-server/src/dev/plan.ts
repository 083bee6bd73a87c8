/** Which nodes a local cluster has, on which ports and in which directories. */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DEFAULT_PORTS, parseAddress, type Address } from '../config/index.ts';
import { makeDirectory } from '../directories.ts';

export interface DevNode {
  readonly id: number;
  readonly learner: boolean;
  readonly grpc: Address;
  readonly raft: Address;
  readonly metrics: Address;
  readonly dataDir: string;
}

export interface DevPlan {
  /** Holds `cluster.json`, which remembers the shape, and a directory and a log file for each node. */
  readonly dataDir: string;
  readonly nodes: readonly DevNode[];
}

/** What the command line said; what it left out is taken from the data directory, then from the defaults. */
export interface DevRequest {
  readonly nodes?: number | undefined;
  readonly learners?: number | undefined;
  readonly basePort?: number | undefined;
  readonly dataDir?: string | undefined;
}

export const DEV_LIMITS = { nodesMax: 9, learnersMax: 9, portsPerNode: 10 } as const;

/** A request that cannot be met. The message is one line for the operator. */
export class DevPlanError extends Error {
  override readonly name = 'DevPlanError';
}

/**
 * Plans a cluster on 127.0.0.1. Node n has gRPC on base + 10(n - 1), Raft on the next port and metrics on the one
 * after; the base is 9443. A single node without a base port has the server's own defaults: 9443, 9444, 9091.
 *
 * A data directory keeps its shape: the voters of a cluster are what they are, so other numbers are refused.
 */
export async function planCluster(request: DevRequest): Promise<DevPlan> {
  const known = request.dataDir === undefined ? undefined : await readShape(resolve(request.dataDir));
  const nodes = request.nodes ?? known?.nodes ?? 3;
  const learners = request.learners ?? known?.learners ?? 0;
  const shapeName = `dev-${String(nodes)}${learners > 0 ? `-${String(learners)}` : ''}`;
  const dataDir = resolve(request.dataDir ?? join('.pact-journal', shapeName));
  const held = known ?? (await readShape(dataDir));
  if (held !== undefined && (held.nodes !== nodes || held.learners !== learners)) {
    throw new DevPlanError(
      `${dataDir} holds a cluster of ${describe(held)}, not of ${describe({ nodes, learners })}; leave out --nodes and --learners, or name another --data-dir`,
    );
  }
  const basePort = request.basePort ?? held?.base_port;
  const count = nodes + learners;
  const first = basePort ?? DEFAULT_PORTS.grpc;
  const last = first + DEV_LIMITS.portsPerNode * (count - 1) + 2;
  if (last > 65_535)
    throw new DevPlanError(
      `--base-port ${String(first)}: ${String(count)} nodes would need ports up to ${String(last)}; choose one of at most ${String(first - (last - 65_535))}`,
    );
  const planned = Array.from({ length: count }, (_, index): DevNode => {
    const base = first + DEV_LIMITS.portsPerNode * index;
    const metrics = count === 1 && basePort === undefined ? DEFAULT_PORTS.metrics : base + 2;
    return {
      id: index + 1,
      learner: index >= nodes,
      grpc: local(base),
      raft: local(base + 1),
      metrics: local(metrics),
      dataDir: join(dataDir, `node-${String(index + 1)}`),
    };
  });
  await makeDirectory(dataDir);
  await writeShape(dataDir, { nodes, learners, ...(basePort === undefined ? {} : { base_port: basePort }) });
  return { dataDir, nodes: planned };
}

interface Shape {
  readonly nodes: number;
  readonly learners: number;
  readonly base_port?: number;
}

const shapeFile = (dataDir: string): string => join(dataDir, 'cluster.json');

async function readShape(dataDir: string): Promise<Shape | undefined> {
  const text = await readFile(shapeFile(dataDir), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (isShape(parsed)) return parsed;
  } catch {
    // Falls through to the refusal below: what the directory holds is unknown.
  }
  throw new DevPlanError(
    `${shapeFile(dataDir)} cannot be read as the shape of a local cluster; remove ${dataDir}, or name another --data-dir`,
  );
}

async function writeShape(dataDir: string, shape: Shape): Promise<void> {
  await writeFile(shapeFile(dataDir), `${JSON.stringify(shape)}\n`);
}

function isShape(value: unknown): value is Shape {
  return (
    typeof value === 'object' &&
    value !== null &&
    'nodes' in value &&
    Number.isInteger(value.nodes) &&
    'learners' in value &&
    Number.isInteger(value.learners) &&
    (!('base_port' in value) || Number.isInteger(value.base_port))
  );
}

function describe(shape: Shape): string {
  const voters = `${String(shape.nodes)} node${shape.nodes === 1 ? '' : 's'}`;
  return shape.learners === 0
    ? voters
    : `${voters} and ${String(shape.learners)} learner${shape.learners === 1 ? '' : 's'}`;
}

function local(port: number): Address {
  const address = parseAddress(`127.0.0.1:${String(port)}`);
  if (address === undefined)
    throw new DevPlanError(`--base-port: ${String(port)} is not a port from 1 to 65535`);
  return address;
}
