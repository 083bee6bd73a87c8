import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { diff, normalize } from './compare.ts';
import { ConfChanges } from './confchange.ts';
import { parseDataFile } from './data-file.ts';
import type { Case } from './data-file.ts';
import { Interaction } from './interaction.ts';
import { runQuorum } from './quorum.ts';

/** What runs the cases of one file, in order. */
type Runner = (test: Case) => string;

/** Each folder has its own language. */
function runnerFor(folder: string): Runner | undefined {
  switch (folder) {
    case 'interaction': {
      const interaction = new Interaction();
      return (test) => interaction.run(test);
    }
    case 'confchange': {
      const changes = new ConfChanges();
      return (test) => changes.run(test);
    }
    case 'quorum':
      return runQuorum;
    default:
      return undefined;
  }
}

/** The data files below a folder, in the order of their names. Documents about them are not among them. */
function dataFiles(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith('.') && !name.endsWith('.md'))
    .sort()
    .flatMap((name) => {
      const path = join(directory, name);
      const found = statSync(path, { throwIfNoEntry: false });
      if (found === undefined) return [];
      return found.isDirectory() ? dataFiles(path) : [path];
    });
}

/** Nearest folder above the file whose name is that of a language, itself included. */
function languageOf(root: string, file: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const name = basename(folder);
    if (['interaction', 'confchange', 'quorum'].includes(name)) return name;
    if (folder === root || folder === dirname(folder)) return name;
  }
}

/** What a case prints; a failure of the runner itself is printed too, so that it shows in the difference. */
function output(run: Runner, test: Case): string {
  try {
    return run(test);
  } catch (error) {
    return printable(error);
  }
}

function printable(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function main(): number {
  const { values } = parseArgs({
    options: { dir: { type: 'string' }, exact: { type: 'boolean', default: false } },
  });
  if (values.dir === undefined || statSync(values.dir, { throwIfNoEntry: false })?.isDirectory() !== true) {
    const what = values.dir === undefined ? 'No folder given' : `There is no folder ${values.dir}`;
    console.error(
      `${what}: pass the one with the scripts as --dir DIR (it has interaction/, quorum/ and confchange/).`,
    );
    return 2;
  }
  const root = resolve(values.dir);
  let passed = 0;
  let failed = 0;
  const report = (place: string, detail: string): void => {
    failed += 1;
    console.log(`FAILED ${place}\n${detail}\n`);
  };
  for (const file of dataFiles(root)) {
    const name = relative(root, file);
    const run = runnerFor(languageOf(root, file));
    if (run === undefined) {
      report(name, `  the file lies in none of interaction/, quorum/, confchange/`);
      continue;
    }
    let cases: readonly Case[];
    try {
      cases = parseDataFile(name, readFileSync(file, 'utf8'));
    } catch (error) {
      report(name, `  ${printable(error)}`);
      continue;
    }
    for (const test of cases) {
      const expected = normalize(test.expected, values.exact);
      const actual = normalize(output(run, test), values.exact);
      if (expected.join('\n') === actual.join('\n')) passed += 1;
      else report(`${name}:${test.line} ${test.name}`, diff(expected, actual));
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = main();
