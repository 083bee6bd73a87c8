/** A node of a local cluster as a process of its own: `pact-journal serve`, tied to this one by an IPC channel. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { formatAddress, formatMember } from '../config/index.ts';
import type { DevNode, DevPlan } from './plan.ts';

/** What a `serve` with an IPC channel tells its parent: that it serves, or why it will not. */
export type ServeMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string; readonly exitCode: number };

/** Recognises a {@link ServeMessage}. */
export function isServeMessage(message: unknown): message is ServeMessage {
  return (
    typeof message === 'object' &&
    message !== null &&
    'kind' in message &&
    (message.kind === 'ready' || message.kind === 'failed')
  );
}

/** A node that ended before it was ready. */
export class ChildFailure extends Error {
  override readonly name = 'ChildFailure';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface ExitReport {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface DevChild {
  readonly node: DevNode;
  readonly pid: number;
  readonly logFile: string;
  /** Resolves once it serves; rejects with {@link ChildFailure}. */
  readonly ready: Promise<void>;
  readonly exited: Promise<ExitReport>;
  running(): boolean;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a node. It is in a process group of its own, so that Ctrl-C on a terminal reaches only this process, which
 * stops it in order; when this process dies in any way, the channel closes and the node stops by itself.
 */
export function startChild(node: DevNode, plan: DevPlan, flags: readonly string[]): DevChild {
  const logFile = `${node.dataDir}.log`;
  const log = openSync(logFile, 'a');
  const child = spawn(
    process.execPath,
    [...process.execArgv, cliEntry(), 'serve', '--json', ...asArguments(nodeFlags(node, plan)), ...flags],
    {
      detached: true,
      stdio: ['ignore', 'ignore', log, 'ipc'],
      env: childEnvironment(),
    },
  );
  closeSync(log);
  const exited = new Promise<ExitReport>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
  });
  const ready = becomesReady(child, node, logFile);
  ready.catch(() => undefined); // whoever waits is told; nobody has to
  return {
    node,
    pid: child.pid ?? 0,
    logFile,
    ready,
    exited,
    running: () => child.exitCode === null && child.signalCode === null,
    kill: (signal) => {
      child.kill(signal);
    },
  };
}

function becomesReady(child: ChildProcess, node: DevNode, logFile: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(new ChildFailure(`node ${String(node.id)} could not be started: ${error.message}`, 1));
    });
    child.on('message', (message) => {
      if (!isServeMessage(message)) return;
      if (message.kind === 'ready') resolve();
      else reject(new ChildFailure(`node ${String(node.id)}: ${message.message}`, message.exitCode));
    });
    child.once('exit', (code, signal) => {
      const how = signal === null ? `exited with status ${String(code)}` : `was ended by ${signal}`;
      reject(
        new ChildFailure(`node ${String(node.id)} ${how} before it served; its log is ${logFile}`, code ?? 1),
      );
    });
  });
}

/** A node's settings as flags: the whole list of members, so that a cluster that was moved to other ports finds itself. */
export function nodeFlags(
  node: DevNode,
  plan: DevPlan,
): Readonly<Record<string, string | readonly string[] | boolean>> {
  return {
    'node-id': String(node.id),
    'data-dir': node.dataDir,
    'cluster-id': 'dev',
    'listen-grpc': formatAddress(node.grpc),
    'listen-raft': formatAddress(node.raft),
    'listen-metrics': formatAddress(node.metrics),
    member: plan.nodes.map(formatMember),
    readdress: true,
  };
}

function asArguments(flags: ReturnType<typeof nodeFlags>): readonly string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return value ? [`--${name}`] : [];
    return typeof value === 'string' ? [`--${name}`, value] : value.flatMap((item) => [`--${name}`, item]);
  });
}

/** The file that this process was started with: the launcher, the built program or its source. */
function cliEntry(): string {
  const [, entry] = process.argv;
  if (entry === undefined) throw new Error('assertion failed: a Node program has a file name');
  return entry;
}

/** Nothing of a node's configuration comes from variables meant for another server, nor does a launcher's mark. */
function childEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('PACT_JOURNAL_')),
  );
}
