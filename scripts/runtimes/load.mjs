/** Every entry point of every package loads as ESM and as CommonJS, with the same names. */
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(import.meta.url);
for (const name of process.argv.slice(2)) {
  const specifier = `@pact-journal/${name}`;
  const manifest = JSON.parse(readFileSync(`node_modules/${specifier}/package.json`, 'utf8'));
  for (const [entry, target] of Object.entries(manifest.exports)) {
    if (target === null || typeof target === 'string' || entry.includes('worker')) continue;
    const path = specifier + entry.slice(1);
    const esm = Object.keys(await import(path))
      .filter((key) => key !== 'default')
      .sort();
    const cjs = Object.keys(require(path))
      .filter((key) => key !== '__esModule' && key !== 'default')
      .sort();
    if (esm.length === 0) throw new Error(`${path} exports nothing`);
    if (esm.join() !== cjs.join())
      throw new Error(`${path}: ESM exports ${esm.join()}, CommonJS ${cjs.join()}`);
  }
}
