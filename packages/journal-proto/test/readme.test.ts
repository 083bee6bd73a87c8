import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const packageRoot = join(import.meta.dirname, '..');

it('the example of the README does what it says', async () => {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const example = /```ts\n(import[\s\S]*?)\n```/.exec(readme)?.[1];
  if (example === undefined) throw new Error('the README has no example that starts with imports');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=@pact-journal/source', '--input-type=module-typescript', '--eval', example],
    { cwd: packageRoot },
  );
  expect(stdout).toBe("{ VCluster: 'ml-training' }\nmissing entry.author: must be given\n");
});
