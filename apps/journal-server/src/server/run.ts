/** A server's life in a process: started, announced, and stopped by a signal, by its parent or by a fatal error. */
import { existsSync, readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { ServerConfig } from '../config/index.ts';
import type { Logger } from './log.ts';
import { startServer, type RunningServer } from './server.ts';

/** What makes a process stop its server, and force it at the second time. */
export interface StopRequest {
  readonly reason: string;
}

/** Starts a server; the process's CPU priority is lowered first where the configuration says so. */
export async function startInProcess(
  config: ServerConfig,
  log: Logger,
  version: string,
): Promise<RunningServer> {
  if (config.node.niceness > 0) lowerPriority(config.node.niceness);
  return startServer(config, { log, version });
}

/** On Linux a priority is a thread's: those that there are already get it too, later ones inherit it. */
function lowerPriority(niceness: number): void {
  const threads = existsSync(THREADS) ? readdirSync(THREADS).map(Number) : [process.pid];
  for (const thread of threads) {
    try {
      setPriority(thread, niceness);
    } catch {
      // A thread that ended meanwhile needs no priority.
    }
  }
}

const THREADS = '/proc/self/task';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Resolves at the first signal that asks this process to stop, or when the parent at the other end of the IPC channel
 * is gone. After that, a second signal ends the process at once.
 */
export function untilAskedToStop(): Promise<StopRequest> {
  return new Promise((resolve) => {
    let asked = false;
    const ask = (reason: string, signal?: NodeJS.Signals): void => {
      if (!asked) resolve({ reason });
      else if (signal !== undefined) process.exit(128 + constants.signals[signal]);
      asked = true;
    };
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        ask(signal, signal);
      });
    }
    // A launcher's channel is the launcher's own business: it sends a signal.
    if (process.channel !== undefined && process.env['PACT_JOURNAL_LAUNCHED'] !== '1') {
      process.channel.unref();
      process.once('disconnect', () => {
        ask('parent process is gone');
      });
    }
  });
}
