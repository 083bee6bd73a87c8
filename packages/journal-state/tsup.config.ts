import { defineConfig } from 'tsup';
import { libraryOptions } from '../../tsup.base.ts';

export default defineConfig({
  ...libraryOptions({
    index: 'src/index.ts',
    testing: 'src/testing/index.ts',
    node: 'src/node/index.ts',
    'restore-worker': 'src/node/restore-worker.ts',
  }),
  // The CommonJS build finds the worker beside itself through `import.meta.url` too.
  shims: true,
});
