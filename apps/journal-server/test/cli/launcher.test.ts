/** The npm `bin` and what is said about the command line. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/registry.ts';

const packageFolder = fileURLToPath(new URL('../..', import.meta.url));
let root: string;
let launcher: string;

/** The launcher in a checkout of its own. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pact-launcher-'));
  const app = join(root, 'apps', 'journal-server');
  mkdirSync(join(app, 'bin'), { recursive: true });
  writeFileSync(join(app, 'package.json'), '{"type":"module"}');
  launcher = join(app, 'bin', 'pact-journal.js');
  cpSync(join(packageFolder, 'bin', 'pact-journal.js'), launcher);
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

test('before the build, one line says how to build, and where', () => {
  const result = spawnSync(process.execPath, [launcher, 'status'], { encoding: 'utf8' });
  expect(result).toMatchObject({ status: 1, stdout: '' });
  expect(result.stderr).toMatch(
    /^pact-journal: not built yet: run "npm start" or "pnpm build" in [^\n]+\n$/u,
  );
  expect(result.stderr).toContain(root);
});

test('after the build, it runs what was built with the arguments it got', () => {
  const dist = join(root, 'apps', 'journal-server', 'dist');
  mkdirSync(dist);
  writeFileSync(join(dist, 'cli.js'), 'console.log(JSON.stringify(process.argv.slice(2)));');
  const output = execFileSync(process.execPath, [launcher, 'log', '--json'], { encoding: 'utf8' });
  expect(JSON.parse(output)).toEqual(['log', '--json']);
});

test('the README has every command', () => {
  const readme = readFileSync(join(packageFolder, 'README.md'), 'utf8');
  for (const { name } of COMMANDS) expect(readme).toMatch(new RegExp(`^\\| \`${name}[ \`]`, 'mu'));
});
