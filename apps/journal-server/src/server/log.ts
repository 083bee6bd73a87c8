import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import type { ServerConfig } from '../config/index.ts';

export type Logger = PinoLogger;

/** Never to appear in a log, wherever an object carries it. */
const SECRETS = ['token', '*.token', 'authorization', '*.authorization', 'metadata', '*.metadata'];

/** A logger that writes JSON lines, or lines for people, to a file descriptor (1 is stdout) or another stream. */
export async function createLogger(
  config: ServerConfig,
  destination: number | DestinationStream,
): Promise<Logger> {
  const options = {
    level: config.log.level,
    base: { component: 'pact-journal', node_id: config.node.id },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRETS, remove: true },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (config.log.format === 'json') {
    return pino(options, typeof destination === 'number' ? unblocking(destination) : destination);
  }
  const { default: pretty } = await import('pino-pretty');
  const colorize =
    typeof destination === 'number' && (destination === 1 ? process.stdout : process.stderr).isTTY;
  return pino(
    options,
    pretty({
      destination,
      sync: true,
      colorize,
      ignore: 'component,node_id,pid,hostname',
      translateTime: 'SYS:HH:MM:ss.l',
    }),
  );
}

/** Levels that a running server steps through, from the configured one to more and back to it. */
const STEPS = ['debug', 'trace'] as const;

/**
 * Makes SIGUSR2 change the level of a running server: to debug, to trace, and back to what is configured. Returns how
 * to end that. Everything logs through this one logger, so that the level is that of the whole process.
 */
export function changeLevelOnSignal(log: Logger): () => void {
  const configured = log.level;
  const more = STEPS.filter((level) => (pino.levels.values[level] ?? 0) < log.levelVal);
  const levels = [configured, ...more];
  const step = (): void => {
    log.level = levels[(levels.indexOf(log.level) + 1) % levels.length] ?? configured;
    // Said at a level that is always there, so that whoever sent the signal sees that it was heard.
    log[log.isLevelEnabled('info') ? 'info' : 'error']({ log_level: log.level }, 'log level changed');
  };
  process.on('SIGUSR2', step);
  return () => process.off('SIGUSR2', step);
}

/** What may wait for a reader that does not read; lines on top of it are dropped rather than holding up consensus. */
const BACKLOG_SIZE_BYTES_MAX = 4 * 1024 * 1024;

/** Lines leave the process in the background, and all of them before it ends. */
function unblocking(fd: number): DestinationStream {
  const stream = pino.destination({ fd, sync: false, maxLength: BACKLOG_SIZE_BYTES_MAX });
  process.once('exit', () => {
    try {
      stream.flushSync();
    } catch {
      // The reader is gone: there is nobody left to tell.
    }
  });
  return stream;
}
