import type { Options } from 'tsup';

/** What every published package builds: ESM and CJS with declarations, dependencies left external. */
export function libraryOptions(entry: Record<string, string>): Options {
  return {
    entry,
    format: ['esm', 'cjs'],
    dts: { compilerOptions: { customConditions: [] } },
    target: 'node20.19',
    sourcemap: true,
    clean: true,
    splitting: true,
    treeshake: true,
  };
}
