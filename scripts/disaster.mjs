/**
 * `node scripts/disaster.mjs [--rounds 50] [--seed S] [--s3]`: kills all nodes of a cluster under load, deletes their
 * directories, and restores the backup into a new cluster, as often as asked, with random moments and targets.
 */
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { pinnedNode, root } from './lib/workspace.mjs';

const args = process.argv.slice(2).filter((arg) => arg !== '--');
const main = join(root, 'apps', 'journal-server', 'test', 'backup', 'disaster-rounds.ts');
const { status } = spawnSync(pinnedNode(), ['--conditions=@pact-journal/source', main, ...args], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
