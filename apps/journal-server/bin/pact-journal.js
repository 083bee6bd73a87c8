#!/usr/bin/env node
// Starts the built command line. A Node that is too old hands over to the one that the workspace pins.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const built = new URL('../dist/cli.js', import.meta.url);
const [major, minor] = process.versions.node.split('.').map(Number);

if (!existsSync(built)) {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  process.stderr.write(`pact-journal: not built yet: run "npm start" or "pnpm build" in ${root}\n`);
  process.exitCode = 1;
} else if (major > 22 || (major === 22 && minor >= 12)) {
  await import(built.href);
} else {
  handOver();
}

/** Runs the same command line under the pinned Node and mirrors how it ends. */
function handOver() {
  let pinned;
  try {
    pinned = createRequire(new URL('../../../package.json', import.meta.url)).resolve('node/bin/node');
  } catch {
    process.stderr.write(`pact-journal: needs Node 22.12 or newer, this is ${process.versions.node}\n`);
    process.exitCode = 2;
    return;
  }
  const child = spawn(pinned, [fileURLToPath(built), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, PACT_JOURNAL_LAUNCHED: '1' },
  });
  // A terminal's Ctrl-C reaches the whole process group by itself; everything else has to be passed on.
  process.on('SIGINT', () => {
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
