/**
 * Compiles zstd-napi after an installation, with the headers of the pinned Node, so that nothing is downloaded and a
 * missing compiler is one clear line. Node-API is stable across versions: the result runs on every supported Node.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { availableParallelism } from 'node:os';
import {
  fail,
  headersDirectory,
  nativeBinding,
  pinnedNode,
  requireToolchain,
  root,
  workspaceEnv,
  zstdDirectory,
} from './lib/workspace.mjs';

const directory = zstdDirectory();
if (directory === undefined) process.exit(0); // An installation without the packages that need it.
if (nativeBinding() !== undefined) process.exit(0);

requireToolchain();
const headers = headersDirectory();
if (headers === undefined) {
  fail(
    "Node's headers (include/node/node_api.h) were not found: neither npm's `node` package nor this host has them.",
  );
}

const nodeGyp = join(root, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
const node = existsSync(pinnedNode()) ? pinnedNode() : process.execPath;
const jobs = String(availableParallelism());
const result = spawnSync(node, [nodeGyp, 'rebuild', '--release', `--nodedir=${headers}`, `--jobs=${jobs}`], {
  cwd: directory,
  env: workspaceEnv(),
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
});
if (result.status !== 0 || nativeBinding() === undefined) {
  const log = join(root, 'node_modules', 'zstd-napi-build.log');
  writeFileSync(log, `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`);
  const reason = /(?:fatal error|error): .*/i.exec(`${result.stderr}${result.stdout}`)?.[0] ?? 'see the log';
  fail(`zstd-napi did not compile (${reason}); the whole output is in ${relative(root, log)}.`);
}
