/** What would go to npm, held against what package.json promises: entry points resolve, types and formats agree. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pnpmCommand, root, run } from './lib/workspace.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'pact-journal-pack-'));
const failed = [];
for (const name of readdirSync(join(root, 'packages'))) {
  const directory = join(root, 'packages', name);
  const [command, args] = pnpmCommand(['pack', '--pack-destination', scratch]);
  if ((await run(command, args, { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] })) !== 0) {
    failed.push(`${name}: pack`);
    continue;
  }
  const tarball = readdirSync(scratch).find((file) => file.includes(`pact-journal-${name}-`));
  if (tarball === undefined) throw new Error(`pnpm pack left no tarball of ${name}`);
  const path = join(scratch, tarball);
  if (
    (await run('publint', ['run', path, '--level', 'warning', '--strict'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })) !== 0
  ) {
    failed.push(`${name}: publint`);
    await run('publint', ['run', path]);
  }
  const attw = ['--format', 'ascii', '--profile', 'node16', '--no-emoji', path];
  if ((await run('attw', attw, { stdio: ['ignore', 'ignore', 'inherit'] })) !== 0) {
    failed.push(`${name}: attw`);
    await run('attw', attw);
  }
  rmSync(path);
}
rmSync(scratch, { recursive: true, force: true });
if (failed.length > 0) console.error(`packages that would be published broken: ${failed.join('; ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
