import { defineConfig } from 'tsup';
import { libraryOptions } from '../../tsup.base.ts';

export default defineConfig({
  ...libraryOptions({ index: 'src/index.ts', worker: 'src/worker.ts' }),
  // The CommonJS build finds the worker beside itself through `import.meta.url` too.
  shims: true,
});
