/** The commands: their names for the help, and how to load each. Only the one that is asked for is loaded. */
import type { Command } from 'commander';
import type { CliContext } from './context.ts';

export interface CommandModule {
  /**
   * Adds the command with its options and action to the program, and does no work of its own. The process exits when
   * the action's promise settles, so a server's action lasts as long as the server. To fail, throw a CliError.
   */
  register(program: Command, context: CliContext): void;
}

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly load: () => Promise<CommandModule>;
}

const SERVER = 'Run a journal:';
const CHANGE = 'Change configuration:';
const READ = 'Read the journal:';
const NODES = 'Compute nodes:';
const CLUSTER = 'Look after the cluster:';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    summary: 'run one journal server',
    group: SERVER,
    load: () => import('./commands/serve.ts'),
  },
  {
    name: 'dev',
    summary: 'run a local cluster in the foreground',
    group: SERVER,
    load: () => import('./commands/dev.ts'),
  },
  {
    name: 'config',
    summary: 'check a server configuration',
    group: SERVER,
    load: () => import('./commands/config.ts'),
  },
  {
    name: 'certs',
    summary: 'make certificates to try a secured cluster with',
    group: SERVER,
    load: () => import('./commands/certs.ts'),
  },

  {
    name: 'capture',
    summary: "this host's real state as a state delta",
    group: CHANGE,
    load: () => import('./commands/capture.ts'),
  },
  {
    name: 'commit',
    summary: 'commit a state delta',
    group: CHANGE,
    load: () => import('./commands/commit.ts'),
  },
  {
    name: 'rollback',
    summary: 'restore what a scope was at an earlier sequence',
    group: CHANGE,
    load: () => import('./commands/rollback.ts'),
  },
  {
    name: 'policy',
    summary: "read and set a virtual cluster's policy, approve changes",
    group: CHANGE,
    load: () => import('./commands/policy.ts'),
  },
  {
    name: 'emergency',
    summary: 'start and end an emergency',
    group: CHANGE,
    load: () => import('./commands/emergency.ts'),
  },

  { name: 'log', summary: 'list entries', group: READ, load: () => import('./commands/log.ts') },
  { name: 'show', summary: 'show one entry', group: READ, load: () => import('./commands/show.ts') },
  {
    name: 'diff',
    summary: 'what changed between two sequences',
    group: READ,
    load: () => import('./commands/diff.ts'),
  },
  {
    name: 'history',
    summary: 'every change of one key',
    group: READ,
    load: () => import('./commands/history.ts'),
  },
  {
    name: 'blame',
    summary: 'which entry set each key',
    group: READ,
    load: () => import('./commands/blame.ts'),
  },
  {
    name: 'watch',
    summary: 'follow updates as they are committed',
    group: READ,
    load: () => import('./commands/watch.ts'),
  },

  {
    name: 'boot',
    summary: 'boot as a compute node and print its configuration',
    group: NODES,
    load: () => import('./commands/boot.ts'),
  },
  {
    name: 'storm',
    summary: 'boot many nodes at once and measure',
    group: NODES,
    load: () => import('./commands/storm.ts'),
  },
  {
    name: 'node',
    summary: 'list, show, assign nodes and set their state',
    group: NODES,
    load: () => import('./commands/node.ts'),
  },
  {
    name: 'overlay',
    summary: 'show, rebuild and verify boot overlays',
    group: NODES,
    load: () => import('./commands/overlay.ts'),
  },
  {
    name: 'op',
    summary: 'record and list administrative operations',
    group: NODES,
    load: () => import('./commands/op.ts'),
  },

  {
    name: 'status',
    summary: 'leader, members and alarms',
    group: CLUSTER,
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'member',
    summary: 'add, promote, remove members, move leadership',
    group: CLUSTER,
    load: () => import('./commands/member.ts'),
  },
  {
    name: 'snapshot',
    summary: 'take a snapshot now',
    group: CLUSTER,
    load: () => import('./commands/snapshot.ts'),
  },
  {
    name: 'backup',
    summary: 'create, list, verify and prune backups',
    group: CLUSTER,
    load: () => import('./commands/backup.ts'),
  },
  {
    name: 'restore',
    summary: 'restore a backup to a sequence or a time',
    group: CLUSTER,
    load: () => import('./commands/restore.ts'),
  },
  {
    name: 'verify',
    summary: 'prove a journal, a data directory or a backup whole',
    group: CLUSTER,
    load: () => import('./commands/verify.ts'),
  },
  {
    name: 'wal',
    summary: 'inspect and verify a data directory offline',
    group: CLUSTER,
    load: () => import('./commands/wal.ts'),
  },
  {
    name: 'completion',
    summary: 'print a completion script for bash, zsh or fish',
    group: CLUSTER,
    load: () => import('./commands/completion.ts'),
  },
];
