import { defineConfig } from 'tsup';
import { libraryOptions } from '../../tsup.base.ts';

export default defineConfig({
  ...libraryOptions({
    index: 'src/index.ts',
    testing: 'src/testing/index.ts',
    node: 'src/node/index.ts',
    'restore-worker': 'src/node/restore-worker.ts',
  }),
  // `./node` tells by `__filename` whether it is there. The shim for it would be in what runs without Node, too.
  esbuildOptions: (options) => {
    options.logOverride = { 'empty-import-meta': 'silent' };
  },
});
