/** `pnpm sim`: runs the seeded simulator of raft-core on the pinned Node, from the sources. */
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { pinnedNode, root } from './lib/workspace.mjs';

const args = process.argv.slice(2).filter((arg) => arg !== '--');
const main = join(root, 'packages', 'raft-core', 'sim', 'main.ts');
const { status } = spawnSync(pinnedNode(), ['--conditions=@pact-journal/source', main, ...args], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
