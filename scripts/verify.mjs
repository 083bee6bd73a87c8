/** Every read-only check, cheapest first; goes on after a failure and ends with a summary. */
import { ensureInstalled, root, run } from './lib/workspace.mjs';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

await ensureInstalled();

const node = (script, ...args) => ['node', [script, ...args]];
const CHECKS = {
  'house rules': node('scripts/tidy.mjs'),
  formatting: ['prettier', ['--check', '--log-level=warn', '.']],
  'wire contract lint': ['buf', ['lint']],
  'wire contract formatting': ['buf', ['format', '--diff', '--exit-code']],
  'wire contract unbroken': ['buf', ['breaking', '--against', 'proto/contract.binpb']],
  'generated code is current': node('scripts/generate.mjs', '--check'),
  'import directions': [
    'depcruise',
    ['--config', '.dependency-cruiser.mjs', '--output-type', 'err', 'packages', 'apps'],
  ],
  types: ['tsc', ['--noEmit', '-p', 'tsconfig.json']],
  lint: ['eslint', ['--max-warnings=0', '.']],
  build: ['turbo', ['run', 'build', '--output-logs=errors-only']],
  'published packages': node('scripts/check-packages.mjs'),
};

const only = process.argv[2];
const failed = [];
let passed = 0;
for (const [name, [command, args]] of Object.entries(CHECKS)) {
  if (only !== undefined && !name.includes(only)) continue;
  const started = performance.now();
  const binary = command === 'node' ? command : join(root, 'node_modules', '.bin', command);
  if (command !== 'node' && !existsSync(binary)) throw new Error(`${command} is not installed`);
  const code = await run(binary, args);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok  ' : 'FAIL'}  ${name} (${seconds} s)`);
  if (code === 0) passed += 1;
  else failed.push(name);
}
if (failed.length > 0) console.log(`failed: ${failed.join(', ')}. What can be mended mechanically: pnpm fix`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
