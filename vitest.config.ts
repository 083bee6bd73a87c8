import { defineConfig } from 'vitest/config';

/** Tests run on the sources: every workspace package exports them under the `@pact-journal/source` condition. */
const conditions = ['@pact-journal/source', 'node', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'scripts/test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Waiting ends with the condition; the limit is for a machine that is busy with other things.
    expect: { poll: { timeout: 20_000 } },
    maxWorkers: 2,
    passWithNoTests: false,
  },
});
