/** Clusters of real `serve` processes on the sources, whose nodes can be killed and started again one by one. */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startCli, type CliOptions } from '../cli/run-cli.ts';

export interface NodeLine {
  readonly id: number;
  readonly role: 'leader' | 'follower' | 'learner';
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  readonly data_dir: string;
  readonly pid: number;
}

/** What `/health` and `/ready` answer, as far as tests look at it. */
export interface NodeHealth {
  readonly node_id: number;
  readonly role: string;
  readonly leader_id: number;
  readonly term: number;
  readonly applied_index: number;
}

/** A place for a node: ports, directory and the flags it is started with. */
export interface NodePlace {
  readonly id: number;
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  readonly dataDir: string;
}

const PORTS_PER_NODE = 3;
/** Below 32768, where Linux begins to take ports for outgoing connections. */
const PORTS = { first: 10_000, last: 31_900 } as const;
let nextPort = PORTS.first + (process.pid % 720) * 30;

/** That many consecutive ports are free now; no other call in this process gets them. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = nextPort;
    nextPort += count;
    if (nextPort > PORTS.last) nextPort = PORTS.first;
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(first + index)));
    if (free.every(Boolean)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

const started = new Set<TestNode>();

/** Ends every node that this test file has started, also those of tests that failed half-way. */
export async function killAllNodes(): Promise<void> {
  await Promise.all([...started].filter((node) => node.running).map((node) => node.kill('SIGKILL')));
  started.clear();
}

/** A running `serve` process. */
export class TestNode {
  readonly place: NodePlace;
  readonly pid: number;
  /** Its log, as written so far. */
  log = '';
  /** Lines that say that it is ready, as printed so far. */
  announcements = 0;
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<NodeLine>;

  constructor(place: NodePlace, flags: readonly string[], options: Omit<CliOptions, 'stdin'> = {}) {
    const own = [
      '--node-id',
      String(place.id),
      '--data-dir',
      place.dataDir,
      '--listen-grpc',
      place.grpc,
      '--listen-raft',
      place.raft,
      '--listen-metrics',
      place.metrics,
    ];
    const child = startCli(['serve', '--json', ...own, ...flags], options);
    this.place = place;
    this.pid = child.pid ?? 0;
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
    this.#ready = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        this.announcements += 1;
        const parsed = JSON.parse(line) as { readonly nodes: readonly NodeLine[] };
        const [node] = parsed.nodes;
        if (node !== undefined) resolve(node);
      });
      void this.exited.then(() => {
        reject(new Error(`node ${String(place.id)} ended before it was ready:\n${this.log}`));
      });
    });
    this.#ready.catch(() => undefined);
    started.add(this);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  ready(): Promise<NodeLine> {
    return this.#ready;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await this.exited;
  }

  async http(path: string): Promise<Response> {
    return fetch(`http://${this.place.metrics}${path}`, { signal: AbortSignal.timeout(5_000) });
  }

  /** Its view of itself; undefined while it does not answer. */
  async health(): Promise<NodeHealth | undefined> {
    try {
      return (await (await this.http('/ready')).json()) as NodeHealth;
    } catch {
      return undefined;
    }
  }
}

export interface TestClusterOptions {
  readonly nodes?: number;
  readonly learners?: number;
  readonly flags?: readonly string[];
  /** Variables for a node's process. */
  readonly env?: (id: number) => Readonly<Record<string, string>>;
}

export class TestCluster {
  readonly places: readonly NodePlace[];
  readonly #directory: string;
  readonly #flags: readonly string[];
  readonly #env: (id: number) => Readonly<Record<string, string>>;
  readonly #nodes = new Map<number, TestNode>();

  private constructor(
    directory: string,
    places: readonly NodePlace[],
    flags: readonly string[],
    env: (id: number) => Readonly<Record<string, string>>,
  ) {
    this.#directory = directory;
    this.places = places;
    this.#flags = flags;
    this.#env = env;
  }

  /** Starts a cluster and waits until it has a leader whom all follow. */
  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = await TestCluster.prepare(options);
    await cluster.startAll();
    return cluster;
  }

  /** The same without starting a node: for data directories that are there already. */
  static async prepare(options: TestClusterOptions = {}): Promise<TestCluster> {
    const { nodes = 1, learners = 0, flags = [], env = () => ({}) } = options;
    const count = nodes + learners;
    const directory = await mkdtemp(join(tmpdir(), 'pact-cluster-'));
    const places = await makePlaces(directory, count);
    const members = places.flatMap((place, index) => [
      '--member',
      `${String(place.id)}=${place.raft},${place.grpc},${place.metrics}${index >= nodes ? ',learner' : ''}`,
    ]);
    return new TestCluster(directory, places, [...members, ...flags], env);
  }

  /** A place for one more node, which is not started. */
  async newPlace(id: number): Promise<NodePlace> {
    const [place] = await makePlaces(this.#directory, 1, id);
    if (place === undefined) throw new Error('no place');
    return place;
  }

  async startAll(flags: readonly string[] = [], timeoutMs?: number): Promise<void> {
    for (const { id } of this.places) this.startNode(id, { flags });
    await this.leader(timeoutMs);
  }

  /** Starts a node of the cluster, on what its directory holds. */
  startNode(
    id: number,
    { flags = [], ...options }: Omit<CliOptions, 'stdin'> & { readonly flags?: readonly string[] } = {},
  ): TestNode {
    const place = this.places.find((candidate) => candidate.id === id);
    if (place === undefined) throw new Error(`there is no node ${String(id)}`);
    const node = new TestNode(place, [...this.#flags, ...flags], { env: this.#env(id), ...options });
    this.#nodes.set(id, node);
    return node;
  }

  node(id: number): TestNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`node ${String(id)} was not started`);
    return node;
  }

  get running(): readonly TestNode[] {
    return [...this.#nodes.values()].filter((node) => node.running);
  }

  /** Resolves with the leader once all running nodes follow it. */
  async leader(timeoutMs = 30_000): Promise<TestNode> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const views = await Promise.all(this.running.map((node) => node.health()));
      const [first] = views;
      if (
        first !== undefined &&
        first.leader_id !== 0 &&
        views.every((view) => view?.leader_id === first.leader_id && view.term === first.term)
      ) {
        const leader = this.running.find((node) => node.place.id === first.leader_id);
        if (leader !== undefined) return leader;
      }
      if (performance.now() > deadline || this.running.length === 0) {
        throw new Error(
          `no common leader: ${JSON.stringify(views)}\n${[...this.#nodes.values()].map((node) => node.log.slice(-2_000)).join('\n---\n')}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Stops every node and removes what they have written. */
  async stop(): Promise<void> {
    await killAllNodes();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async stopAll(signal: NodeJS.Signals): Promise<void> {
    await Promise.all(this.running.map((node) => node.kill(signal)));
  }
}

async function makePlaces(directory: string, count: number, firstId = 1): Promise<readonly NodePlace[]> {
  const base = await freePorts(PORTS_PER_NODE * count);
  return Array.from({ length: count }, (_, index): NodePlace => {
    const at = (offset: number): string => `127.0.0.1:${String(base + PORTS_PER_NODE * index + offset)}`;
    const id = firstId + index;
    return { id, grpc: at(0), raft: at(1), metrics: at(2), dataDir: join(directory, `node-${String(id)}`) };
  });
}
