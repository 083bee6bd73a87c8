import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { rewriteSuite, runSuite } from './suite.ts';

/** The command behind `pnpm conformance`. Exit codes: 0 all passed, 1 some failed, 2 usage. */
function main(): number {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        dir: { type: 'string' },
        exact: { type: 'boolean', default: false },
        rewrite: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    console.error(
      `${error instanceof Error ? error.message : String(error)} (usage: [--dir DIR] [--exact] [--rewrite])`,
    );
    return 2;
  }
  if (values.dir === undefined || statSync(values.dir, { throwIfNoEntry: false })?.isDirectory() !== true) {
    const what =
      values.dir === undefined
        ? 'The scripts are not where they usually are'
        : `There is no folder ${values.dir}`;
    console.error(
      `${what}: pass the folder with them as --dir DIR (it has interaction/, quorum/ and confchange/).`,
    );
    return 2;
  }
  const root = resolve(values.dir);
  if (values.rewrite) rewriteSuite(root);
  const { passed, failures } = runSuite(root, values.exact);
  for (const { place, detail } of failures) console.log(`FAILED ${place}\n${detail}\n`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}

process.exitCode = main();
