/** What the Containerfile puts into an image; building one needs a registry of images, which a test cannot count on. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const CONTAINERFILE = join(ROOT, 'apps/journal-server/deploy/container/Containerfile');

let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pact-container-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

test('what is deployed are the versions of the lockfile, without what only development needs', async () => {
  const text = await readFile(CONTAINERFILE, 'utf8');
  const command = /&& pnpm (?<flags>.*deploy) \/out /u.exec(text)?.groups?.['flags'];
  if (command === undefined) throw new Error('the Containerfile deploys with pnpm');
  const { packageManager } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    readonly packageManager: string;
  };
  // Offline there is nothing to resolve anew from.
  const flags = ['--offline', '--ignore-scripts', ...command.split(' '), directory];
  await run('npx', ['--yes', packageManager, ...flags], { cwd: ROOT });

  const lock = await readFile(join(ROOT, 'pnpm-lock.yaml'), 'utf8');
  const locked = new Set(
    [...lock.matchAll(/^ {2}'?(?<name>@?[^@\s']+@[^:'(]+)'?:$/gmu)].map(([, name]) => name),
  );
  const deployed = (await readdir(join(directory, 'node_modules/.pnpm')))
    .filter((name) => /@\d/u.test(name))
    .map((name) => name.replace('+', '/').replace(/(@\d[^_]*)_.*$/u, '$1'));
  expect(deployed.length).toBeGreaterThan(100);
  expect(deployed.filter((dependency) => !locked.has(dependency))).toEqual([]);
  const names = deployed.map((dependency) => dependency.slice(0, dependency.lastIndexOf('@')));
  expect(names).toEqual(expect.arrayContaining(['@grpc/grpc-js', 'commander', 'zstd-napi']));
  for (const development of ['fast-check', 'vitest', 'typescript', 'tsup', 'fauxqs', 'oidc-provider'])
    expect(names).not.toContain(development);
}, 120_000);
