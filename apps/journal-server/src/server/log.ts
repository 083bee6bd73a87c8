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
