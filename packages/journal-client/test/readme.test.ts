import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { stopServers, TestServer } from './support/server.ts';

const packageRoot = join(import.meta.dirname, '..');

afterEach(stopServers);

it('the example of the README does what it says', async () => {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const example = /```ts\n(import[\s\S]*?)\n```/.exec(readme)?.[1];
  if (example === undefined) throw new Error('the README has no example that starts with imports');
  const server = await TestServer.start();
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=@pact-journal/source', '--input-type=module-typescript', '--eval', example],
    { cwd: packageRoot, env: { ...process.env, PACT_ENDPOINT: server.address } },
  );
  const [first, ...rest] = stdout.trim().split('\n');
  expect(first).toBe('100 entries are durable');
  expect(rest[0]).toMatch(/^\d+ baseline$/);
});
