import { defineConfig } from 'tsup';

/** The application: ESM only, dependencies left external, one chunk a command so that `--help` loads almost nothing. */
export default defineConfig({
  entry: { cli: 'src/cli/main.ts' },
  format: ['esm'],
  target: 'node22.12',
  platform: 'node',
  sourcemap: true,
  clean: true,
  splitting: true,
  treeshake: true,
});
