/** `pnpm conformance [--dir DIR] [--exact]`: runs Raft scripts against the core, from their sources, on the pinned Node. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { pinnedNode, root } from './lib/workspace.mjs';

const args = process.argv.slice(2).filter((arg) => arg !== '--');
if (!args.some((arg) => arg === '--dir' || arg.startsWith('--dir='))) {
  const usual = resolve(root, '..', 'shared', 'raft-conformance');
  if (existsSync(usual)) args.push('--dir', usual);
}
const run = join(root, 'packages', 'raft-core', 'conformance', 'run.ts');
const { status } = spawnSync(pinnedNode(), ['--conditions=@pact-journal/source', run, ...args], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
