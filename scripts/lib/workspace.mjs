/**
 * What the root commands share. Runs on the host's Node (>= 20.19) before anything is installed, so it imports
 * nothing but Node's own modules; everything after the installation runs on the Node 24 that the workspace pins.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const MINIMUM_NODE = [20, 19];
const installStamp = join(root, 'node_modules', '.workspace-installed');

/** Ends the command with one line for the person who typed it. */
export function fail(message, code = 1) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(code);
}

export function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantMajor, wantMinor] = MINIMUM_NODE;
  if (major < wantMajor || (major === wantMajor && minor < wantMinor)) {
    fail(
      `Node ${process.versions.node} is too old: Node >= ${MINIMUM_NODE.join('.')} is needed to start.`,
      2,
    );
  }
}

/**
 * The pinned Node, which npm's `node` package brings: the binary itself, because the shell script of the same name in
 * node_modules/.bin would stand between a signal and its process.
 */
export function pinnedNode() {
  return join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/** Environment in which children find the pinned Node and the workspace's tools first. */
export function workspaceEnv(extra = {}) {
  const path =
    join(root, 'node_modules', '.bin') + (process.platform === 'win32' ? ';' : ':') + process.env.PATH;
  return { ...process.env, PATH: path, ...extra };
}

/** Runs to the end with inherited output; resolves to the exit code (128 + signal number is reported as 1). */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', env: workspaceEnv(), ...options });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** As `run`, but a failure ends this command with the same code. */
export async function runOrExit(command, args, options = {}) {
  const code = await run(command, args, options);
  if (code !== 0) process.exit(code);
}

/** Runs a TypeScript entry point of the workspace from its sources on the pinned Node (which strips types). */
export async function runSource(entry, args, options = {}) {
  await ensureInstalled();
  const condition = '--conditions=@pact-journal/source';
  process.exitCode = await run(
    pinnedNode(),
    [condition, ...(options.nodeArgs ?? []), entry, ...args],
    options,
  );
}

function manifests() {
  const list = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml'];
  for (const group of ['packages', 'apps']) {
    for (const name of readdirSync(join(root, group))) {
      const manifest = join(group, name, 'package.json');
      if (existsSync(join(root, manifest))) list.push(manifest);
    }
  }
  return list;
}

function installFingerprint() {
  const hash = createHash('sha256');
  for (const file of manifests()) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

/** pnpm in the version that package.json names, by way of npx, with the given arguments. */
export function pnpmCommand(args) {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return ['npx', ['--yes', packageManager, ...args]];
}

/** Installs what the lockfile says, unless that has been done already. */
export async function ensureInstalled() {
  requireNode();
  const fingerprint = installFingerprint();
  if (
    existsSync(installStamp) &&
    readFileSync(installStamp, 'utf8') === fingerprint &&
    existsSync(pinnedNode())
  )
    return;
  requireToolchain();
  process.stderr.write('installing dependencies (once) ...\n');
  const [command, args] = pnpmCommand(['install', '--frozen-lockfile', '--reporter=append-only']);
  const result = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, CI: 'true' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error)
    fail(`npx could not be started: ${result.error.message}. npm has to be installed beside Node.`);
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout}${result.stderr}\n`);
    fail('the dependencies could not be installed; the reason is above.');
  }
  writeFileSync(installStamp, fingerprint);
}

/** Builds what has changed since the last build: everything, or what the turbo filter names. */
export async function ensureBuilt(filter = '*') {
  const result = spawnSync(
    join(root, 'node_modules', '.bin', 'turbo'),
    ['run', 'build', `--filter=${filter}`, '--output-logs=errors-only'],
    {
      cwd: root,
      env: workspaceEnv({ TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout}${result.stderr}\n`);
    fail('the build failed; the reason is above.');
  }
}

const TOOLS = [
  {
    name: 'a C++ compiler',
    commands: [process.env.CXX, 'c++', 'g++', 'clang++'],
    debian: 'g++',
    fedora: 'gcc-c++',
  },
  { name: 'make', commands: [process.env.MAKE, 'make', 'gmake'], debian: 'make', fedora: 'make' },
  {
    name: 'python3',
    commands: [process.env.PYTHON, 'python3', 'python'],
    debian: 'python3',
    fedora: 'python3',
  },
];

/** The zstd binding is compiled on this machine: says in one line what is missing for that. */
export function requireToolchain() {
  if (nativeBinding() !== undefined) return;
  const missing = TOOLS.filter(({ commands }) => !commands.some((command) => command && works(command)));
  if (missing.length === 0) return;
  fail(
    `zstd-napi is compiled during the installation and needs ${missing.map(({ name }) => name).join(', ')}: ` +
      `apt-get install ${missing.map(({ debian }) => debian).join(' ')} (Debian, Ubuntu) or ` +
      `dnf install ${missing.map(({ fedora }) => fedora).join(' ')} (Fedora, RHEL), then run this again.`,
    2,
  );
}

function works(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** The compiled zstd binding, if there is one. */
export function nativeBinding() {
  const directory = zstdDirectory();
  if (directory === undefined) return undefined;
  const file = join(directory, 'build', 'Release', 'binding.node');
  return existsSync(file) ? file : undefined;
}

/** Where pnpm put zstd-napi, once it is installed. */
export function zstdDirectory() {
  const directory = join(root, 'packages', 'overlay-builder', 'node_modules', 'zstd-napi');
  return existsSync(directory) ? directory : undefined;
}

/** Node's headers without a download: those in npm's `node` package, else the host's own. */
export function headersDirectory() {
  const modules = join(root, 'node_modules', 'node', 'node_modules');
  const candidates = existsSync(modules) ? readdirSync(modules).map((name) => join(modules, name)) : [];
  candidates.push(dirname(dirname(process.execPath)), '/usr', '/usr/local');
  return candidates.find((directory) => existsSync(join(directory, 'include', 'node', 'node_api.h')));
}
