import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { diff, normalize } from './compare.ts';
import { ConfChanges } from './confchange.ts';
import { parseDataFile, rewrite } from './data-file.ts';
import type { Case } from './data-file.ts';
import { Interaction } from './interaction.ts';
import { runQuorum } from './quorum.ts';

/** What runs the cases of one file, in order. */
type Runner = (test: Case) => string;

/** A case that printed something else than it should, or a file that cannot be read. */
export interface Failure {
  /** File, line and command. */
  readonly place: string;
  /** The difference, or what is wrong with the file. */
  readonly detail: string;
}

export interface SuiteResult {
  readonly passed: number;
  readonly failures: readonly Failure[];
}

const LANGUAGES = ['interaction', 'confchange', 'quorum'];

/** Runs every data file below `root`, each in the language of the folder it lies in. */
export function runSuite(root: string, exact: boolean): SuiteResult {
  let passed = 0;
  const failures: Failure[] = [];
  for (const file of dataFiles(root)) {
    const name = relative(root, file);
    try {
      const run = runnerFor(root, file);
      for (const test of parseDataFile(name, readFileSync(file, 'utf8'))) {
        const expected = normalize(test.expected, exact);
        const actual = normalize(output(run, test), exact);
        if (expected.join('\n') === actual.join('\n')) passed += 1;
        else failures.push({ place: `${name}:${test.line} ${test.name}`, detail: diff(expected, actual) });
      }
    } catch (error) {
      failures.push({ place: name, detail: `  ${printable(error)}` });
    }
  }
  return { passed, failures };
}

/** Writes what the cases below `root` print into their files, for scripts of one's own. */
export function rewriteSuite(root: string): void {
  for (const file of dataFiles(root)) {
    const run = runnerFor(root, file);
    const text = readFileSync(file, 'utf8');
    writeFileSync(
      file,
      rewrite(text, parseDataFile(file, text), (test) => output(run, test)),
    );
  }
}

function runnerFor(root: string, file: string): Runner {
  const language = languageOf(root, file);
  switch (language) {
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
      throw new Error(`the file lies in none of the folders ${LANGUAGES.join(', ')}`);
  }
}

/** The nearest folder above the file that has the name of a language, the root itself included. */
function languageOf(root: string, file: string): string | undefined {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const name = basename(folder);
    if (LANGUAGES.includes(name)) return name;
    if (folder === root || folder === dirname(folder)) return undefined;
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
