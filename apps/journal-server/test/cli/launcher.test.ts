/** The npm `bin` and what is said about the command line. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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

test('under a Node that is too old, the pinned one runs it and hears the signals that are for a server', async () => {
  const dist = join(root, 'apps', 'journal-server', 'dist');
  mkdirSync(dist);
  writeFileSync(
    join(dist, 'cli.js'),
    `for (const signal of ['SIGUSR2', 'SIGHUP']) process.on(signal, () => console.log('heard ' + signal));
     process.on('SIGTERM', () => process.exit(7));
     console.log('serving');
     setInterval(() => undefined, 1000);`,
  );
  mkdirSync(join(root, 'node_modules', 'node', 'bin'), { recursive: true });
  writeFileSync(join(root, 'package.json'), '{}');
  symlinkSync(process.execPath, join(root, 'node_modules', 'node', 'bin', 'node'));
  const old = `data:text/javascript,Object.defineProperty(process, 'versions', { value: { node: '20.19.0' } })`;
  const child = spawn(process.execPath, ['--import', old, launcher, 'serve']);
  let heard = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (heard += text));
  await expect.poll(() => heard).toBe('serving\n');
  child.kill('SIGUSR2');
  await expect.poll(() => heard).toContain('heard SIGUSR2');
  child.kill('SIGHUP');
  await expect.poll(() => heard).toContain('heard SIGHUP');
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await exited).toEqual([7, null]);
});

test('the README has every command', () => {
  const readme = readFileSync(join(packageFolder, 'README.md'), 'utf8');
  for (const { name } of COMMANDS) expect(readme).toMatch(new RegExp(`^\\| \`${name}[ \`]`, 'mu'));
});
