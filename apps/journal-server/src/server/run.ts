/** A server's life in a process: started, announced, and stopped by a signal, by its parent or by a fatal error. */
import { constants } from 'node:os';
import type { ServerConfig } from '../config/index.ts';
import { lowerPriority } from '../priority.ts';
import { changeLevelOnSignal, type Logger } from './log.ts';
import type { NodeLine } from './node-line.ts';
import { startServer, type RunningServer } from './server.ts';
import { spaceMajorCollections } from './old-generation.ts';
import { boundYoungGeneration } from './young-generation.ts';

/** What makes a process stop its server, and force it at the second time. */
export interface StopRequest {
  readonly reason: string;
}

export interface RunOptions {
  readonly config: ServerConfig;
  readonly log: Logger;
  /** Of this program. */
  readonly version: string;
  /** Resolves when the server is to stop; see {@link untilAskedToStop}. */
  readonly stopRequest: Promise<StopRequest>;
  /** Told once, when the server answers for the first time: not again where it starts anew from the leader's state. */
  readonly onReady: (line: NodeLine) => void;
}

/**
 * Runs a server in this process until it is asked to stop. Resolves once it has stopped in order, also where it was
 * asked to before it was ready. Rejects with `ServerError` where it could not start or has stopped for good.
 */
export async function runServer({ config, log, version, stopRequest, onReady }: RunOptions): Promise<void> {
  lowerPriority(config.node.niceness);
  boundYoungGeneration();
  spaceMajorCollections();
  const endLevelChanges = changeLevelOnSignal(log);
  const starting = new AbortController();
  let announced = false;
  const announce = (line: NodeLine): void => {
    if (!announced) onReady(line);
    announced = true;
  };
  const asked = stopRequest.then(({ reason }) => {
    log.info({ reason }, 'stopping');
    starting.abort(new Error('the server is stopping'));
  });
  for (let again = true; again;) {
    const server = await startServer(config, { log, version, signal: starting.signal }).catch(
      (error: unknown) => {
        if (starting.signal.aborted) return undefined;
        throw error;
      },
    );
    const between = server === undefined ? undefined : await untilDone(server, asked, announce);
    again = between !== undefined && !starting.signal.aborted;
    if (!again) break;
    log.info('starting again');
    await between?.();
  }
  endLevelChanges();
  log.info('stopped');
}

/** Returns what is to be done before the server is started again; undefined where it is not to be. */
async function untilDone(
  server: RunningServer,
  asked: Promise<void>,
  onReady: (line: NodeLine) => void,
): Promise<(() => Promise<void>) | undefined> {
  const line = await Promise.race([server.ready(), asked, server.failed]);
  if (line !== undefined && 'role' in line) onReady(line);
  const outcome = await Promise.race([asked, server.failed, server.restartWanted]);
  await server.stop();
  if (outcome === undefined) return undefined;
  if ('error' in outcome) throw outcome.error;
  return outcome.between;
}

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
