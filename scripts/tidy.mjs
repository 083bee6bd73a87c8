/** The repository's own rules, those that no linter knows. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './lib/workspace.mjs';

const LINES_MAX = 500;
const findings = [];
const report = (file, line, what) => findings.push(`${file}${line === undefined ? '' : `:${line}`}: ${what}`);

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)))
  .filter((file) => !/(^|\/)(dist|gen)\/|pnpm-lock\.yaml$|^LICENSE$/.test(file));

/** Written so that this file does not find itself. */
const FORBIDDEN_TEXT = [
  { pattern: /\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/, what: 'a left-over marker: do it or file it' },
  { pattern: /(^|[\s"'`(=])\/(w[o]rk|r[o]ot)\//, what: 'a path of one machine' },
  { pattern: /https?:\/\/(regis[t]ry|d[e]b)\./, what: 'the host name of a package registry' },
  {
    pattern: /\.\.\/sha[r]ed/,
    what: 'the folder beside the project',
    allowed: /^(scripts\/|\.ci\/|packages\/raft-core\/conformance\/)/,
  },
];
const FORBIDDEN_CODE = [
  {
    pattern: /\b(it|test|describe)\.(sk[i]p|on[l]y|to[d]o)\b|expect\(tr[u]e\)/,
    what: 'a test that does not test',
  },
  { pattern: /@ts-(ig[n]ore|no[c]heck|expect-err[o]r)|eslint-dis[a]ble/, what: 'an escape from the checks' },
];

for (const file of tracked) {
  if (!/\.(ts|mjs|js|json|md|toml|yaml|yml|proto|sh)$|^\.ci\/|(^|\/)\.npmrc$/.test(file)) continue;
  const text = readFileSync(join(root, file), 'utf8');
  const lines = text.split('\n');
  const isCode = /\.(ts|mjs|js)$/.test(file);
  for (const [at, line] of lines.entries()) {
    for (const { pattern, what, allowed } of FORBIDDEN_TEXT) {
      if (pattern.test(line) && !allowed?.test(file)) report(file, at + 1, what);
    }
    if (!isCode) continue;
    for (const { pattern, what } of FORBIDDEN_CODE) if (pattern.test(line)) report(file, at + 1, what);
  }
  if (/\.ts$/.test(file) && lines.length > LINES_MAX)
    report(file, undefined, `${lines.length} lines; at most ${LINES_MAX}`);
}

// Every package explains itself, and every runtime dependency is named with its reason.
const architecture = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
for (const group of ['packages', 'apps']) {
  for (const name of readdirSync(join(root, group))) {
    const directory = join(group, name);
    const manifestFile = join(root, directory, 'package.json');
    if (!existsSync(manifestFile)) continue;
    if (!existsSync(join(root, directory, 'README.md'))) report(directory, undefined, 'no README.md');
    const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (dependency.startsWith('@pact-journal/')) continue;
      if (!architecture.includes(`\`${dependency}\``)) {
        report(join(directory, 'package.json'), undefined, `${dependency} has no reason in ARCHITECTURE.md`);
      }
    }
    if (!architecture.includes(name)) report('ARCHITECTURE.md', undefined, `says nothing of ${directory}`);
  }
}

const readme = readFileSync(join(root, 'README.md'), 'utf8');
for (const command of ['npm start', 'npm test']) {
  if (!readme.includes(command)) report('README.md', undefined, `does not show \`${command}\``);
}

for (const finding of findings) console.error(finding);
process.exitCode = findings.length === 0 ? 0 : 1;
