/** A local cluster: its processes, when it is ready, and how it ends. */
import { formatAddress } from '../config/index.ts';
import type { NodeLine } from '../server/node-line.ts';
import { startChild, type DevChild, type ExitReport } from './child.ts';
import type { DevNode, DevPlan } from './plan.ts';

export interface DevClusterOptions {
  /** More flags for every node, for example its log level. */
  readonly flags: readonly string[];
  /** Told when a node ends that was not asked to. */
  readonly onUnexpectedExit: (node: DevNode, report: ExitReport) => void;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
/** A node that has not stopped by then is killed. */
const STOP_TIMEOUT_MS = 10_000;

export class DevCluster {
  readonly #children: readonly DevChild[];
  #stopping = false;

  private constructor(children: readonly DevChild[]) {
    this.#children = children;
  }

  /** Starts all nodes. Rejects with `ChildFailure` where one does not come up, and then none is left running. */
  static async start(plan: DevPlan, options: DevClusterOptions): Promise<DevCluster> {
    const cluster = new DevCluster(plan.nodes.map((node) => startChild(node, plan, options.flags)));
    try {
      await Promise.all(cluster.#children.map((child) => child.ready));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    for (const child of cluster.#children) {
      void child.exited.then((report) => {
        if (!cluster.#stopping) options.onUnexpectedExit(child.node, report);
      });
    }
    return cluster;
  }

  /** Resolves once one node leads and all others, learners too, follow it and are caught up. */
  async ready(): Promise<readonly NodeLine[]> {
    const deadlineMs = performance.now() + READY_TIMEOUT_MS;
    for (;;) {
      const roles = await Promise.all(this.#children.map(roleOf));
      const leaders = roles.filter((role) => role === 'leader').length;
      if (leaders === 1 && roles.every((role) => role !== undefined)) {
        return this.#children.map((child, index) => describe(child, roles[index] ?? 'follower'));
      }
      if (this.#stopping || performance.now() > deadlineMs) {
        const waiting = this.#children
          .filter((_, index) => roles[index] === undefined)
          .map((child) => String(child.node.id));
        throw new Error(
          `the cluster did not get ready: no answer yet from node ${waiting.join(', ') || 'that leads'}; see the *.log files in the data directory`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Resolves once no process is left. `SIGKILL` at the second call, or after a while. */
  async stop(): Promise<void> {
    const signal = this.#stopping ? 'SIGKILL' : 'SIGTERM';
    this.#stopping = true;
    for (const child of this.#children) child.kill(signal);
    const timer = setTimeout(() => {
      for (const child of this.#children) child.kill('SIGKILL');
    }, STOP_TIMEOUT_MS);
    await Promise.all(this.#children.map((child) => child.exited));
    clearTimeout(timer);
  }

  /** Resolves once every node has ended, for whatever reason. */
  async allExited(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.exited));
  }
}

function describe(child: DevChild, role: NodeLine['role']): NodeLine {
  const { node } = child;
  const [grpc, raft, metrics] = [node.grpc, node.raft, node.metrics].map(formatAddress);
  return {
    id: node.id,
    role,
    grpc: grpc ?? '',
    raft: raft ?? '',
    metrics: metrics ?? '',
    data_dir: node.dataDir,
    pid: child.pid,
  };
}

/** The node's role once it is ready to serve; undefined before. */
async function roleOf(child: DevChild): Promise<NodeLine['role'] | undefined> {
  if (!child.running()) return undefined;
  try {
    const response = await fetch(`http://${formatAddress(child.node.metrics)}/ready`, {
      signal: AbortSignal.timeout(2_000),
    });
    const body: unknown = await response.json();
    if (!response.ok || typeof body !== 'object' || body === null || !('role' in body)) return undefined;
    return body.role === 'leader' || body.role === 'follower' || body.role === 'learner'
      ? body.role
      : undefined;
  } catch {
    return undefined;
  }
}
