import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { freeAddress } from './support/cluster.ts';

const packageRoot = join(import.meta.dirname, '..');

it('the example of the README does what it says', async () => {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const example = /```ts\n(import[\s\S]*?)\n```/.exec(readme)?.[1];
  if (example === undefined) throw new Error('the README has no example that starts with imports');
  const ports = await Promise.all([freeAddress(), freeAddress(), freeAddress()]);
  const fixed = '`127.0.0.1:${20440 + id}`';
  expect(example).toContain(fixed);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--conditions=@pact-journal/source',
      '--input-type=module-typescript',
      '--eval',
      example.replace(fixed, `${JSON.stringify(ports)}[id - 1]!`),
    ],
    { cwd: packageRoot },
  );
  expect(stdout).toBe('committed by a majority of 3: true\n');
});
