/** `npm start`: installs, builds, and runs a single-node journal on loopback in the foreground. */
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { ensureBuilt, ensureInstalled, pinnedNode, root } from './lib/workspace.mjs';

await ensureInstalled();
await ensureBuilt();

const cli = join(root, 'apps', 'journal-server', 'bin', 'pact-journal.js');
const child = spawn(pinnedNode(), [cli, 'dev', '--nodes', '1', ...process.argv.slice(2)], {
  stdio: 'inherit',
});

// Ctrl-C reaches the whole terminal group, so the journal stops by itself; a signal sent to this process alone is passed on.
let interrupts = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    interrupts += 1;
    if (!process.stdin.isTTY || signal !== 'SIGINT' || interrupts > 1) child.kill(signal);
  });
}
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === null ? 1 : 0);
});
