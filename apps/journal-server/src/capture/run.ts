/** Runs the host's own tools. */
import { execFile } from 'node:child_process';
import type { CommandRunner } from './types.ts';

/** Output that is larger than this is not believed, in bytes. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Without a shell, in the C locale, killed when the time is up. */
export const runHostCommand: CommandRunner = (file, args, timeoutMs) =>
  new Promise((resolve) => {
    const options = {
      timeout: timeoutMs,
      killSignal: 'SIGKILL' as const,
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { ...process.env, LC_ALL: 'C', SYSTEMD_COLORS: '0' },
    };
    const child = execFile(file, [...args], options, (error, stdout) => {
      resolve(error === null ? stdout : undefined);
    });
    child.stdin?.end();
  });
