import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import type { Mutant, Patch } from './mutants.ts';
import type { simulate } from './run.ts';

const SOURCES = join(import.meta.dirname, '..', 'src');

/** Puts the bug into the sources while they are loaded; what is on disk stays as it is. */
function plant(mutant: Mutant): Plugin {
  return {
    name: 'plant-mutant',
    setup(building) {
      building.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const patches = mutant.patches.filter(({ file }) => relative(SOURCES, path) === file);
        if (patches.length === 0) return undefined;
        const source = readFileSync(path, 'utf8');
        return {
          contents: patches.reduce((text, patch) => apply(mutant, patch, text), source),
          loader: 'ts',
        };
      });
    },
  };
}

function apply(mutant: Mutant, { file, find, replace }: Patch, text: string): string {
  const parts = text.split(find);
  const [before, after] = parts;
  if (parts.length === 2 && before !== undefined && after !== undefined) return before + replace + after;
  throw new Error(
    `mutant ${mutant.name}: its place occurs ${parts.length - 1} times in ${file}, it must occur once`,
  );
}

/** The simulator with everything that it simulates, as it is or with a bug planted. */
export async function loadSimulator(mutant?: Mutant): Promise<typeof simulate> {
  const folder = mkdtempSync(join(tmpdir(), 'raft-sim-'));
  try {
    const file = join(folder, 'run.mjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'run.ts')],
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      outfile: file,
      logLevel: 'silent',
      plugins: mutant === undefined ? [] : [plant(mutant)],
    });
    const loaded = (await import(pathToFileURL(file).href)) as { readonly simulate: typeof simulate };
    return loaded.simulate;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
