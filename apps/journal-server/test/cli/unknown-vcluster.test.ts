/** Virtual clusters that the journal does not know. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unknownVCluster } from '../../src/cli/unknown-vcluster.ts';
import { startJournal, type RunningJournal } from './journal-process.ts';
import { failureLine, runHere, type CliResult } from './run-cli.ts';

let journal: RunningJournal;

beforeAll(async () => {
  journal = await startJournal();
});

afterAll(() => journal.stop());

const run = (args: readonly string[], stdin = ''): Promise<CliResult> =>
  runHere(args, { env: journal.env, stdin });

const USES = [
  ['boot', 'n1', '--vcluster', 'trainin'],
  ['overlay', 'show', 'trainin'],
  ['overlay', 'verify', 'trainin'],
];

test('what would be right is said: to commit to it, and once there are others, which there are', async () => {
  const commit = 'commit to it first: pact-journal commit --vcluster trainin -f FILE';
  for (const args of USES) {
    const result = await run(args);
    expect(failureLine(result), args[0]).toBe(`there is no virtual cluster "trainin"; ${commit}`);
    expect(result).toMatchObject({ code: 4, stdout: '' });
  }
  for (const vcluster of ['inference', 'training'])
    expect((await run(['commit', '--vcluster', vcluster, '-f', '-'], '{"kernel":[]}')).code).toBe(0);
  const expected = `there is no virtual cluster "trainin", known are training, inference; name one of these, or ${commit}`;
  for (const args of USES) {
    const result = await run(args);
    expect(failureLine(result), args[0]).toBe(expected);
    expect(result).toMatchObject({ code: 4, stdout: '' });
  }

  const log = await run(['log', '--vcluster', 'trainin']);
  expect(log).toMatchObject({ code: 0, stdout: '' });
  expect(log.stderr).toContain(expected);
  expect(await run(['log', '--vcluster', 'trainin', '--json'])).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(await run(['log', '--vcluster', 'training', '--type', 'Rollback'])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  });
});

test('of many, the nearest three are named and the rest counted', () => {
  const known = ['alpha', 'beta', 'gamma', 'delta', 'betas'];
  expect(unknownVCluster('Bet', known)).toMatch(
    /known are beta, betas, \w+ and 2 more \(pact-journal overlay list\); name one/u,
  );
});
