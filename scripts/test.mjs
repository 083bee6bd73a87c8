/** `npm test`: installs, builds, runs every test. The last line is `N passed, N failed`; fails if anything failed. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, fail, run } from './lib/workspace.mjs';

await ensureInstalled();
await ensureBuilt();

const scratch = mkdtempSync(join(tmpdir(), 'pact-journal-test-'));
const report = join(scratch, 'report.json');
const args = [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
];
const code = await run('vitest', args);

let totals;
try {
  totals = JSON.parse(readFileSync(report, 'utf8'));
} catch {
  fail('the test runner ended without a report.');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
// A file that fails to load has no tests to count, but it is a failure.
const brokenFiles = totals.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
);
const failed = totals.numFailedTests + brokenFiles.length;
console.log(`${totals.numPassedTests} passed, ${failed} failed`);
process.exitCode = code !== 0 || failed > 0 || totals.numPassedTests === 0 ? 1 : 0;
