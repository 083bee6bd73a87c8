/** `node scripts/s3-server.mjs [--port N]`: the S3 server of the tests, in the foreground; prints how to use it. */
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { pinnedNode, root } from './lib/workspace.mjs';

const args = process.argv.slice(2).filter((arg) => arg !== '--');
const main = join(root, 'apps', 'journal-server', 'test', 'support', 's3-main.ts');
const { status } = spawnSync(pinnedNode(), ['--conditions=@pact-journal/source', main, ...args], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
