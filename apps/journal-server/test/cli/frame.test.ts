/** Arguments, help, exit statuses and one-line failures: what every command has in common. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/registry.ts';
import { failureLine, runCli, runHere } from './run-cli.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pact-cli-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('help', () => {
  test('lists every command, the global options and the exit statuses on stdout', async () => {
    const result = await runCli(['--help']);
    expect(result.code).toBe(0);
    expect(result.stderr).toBe('');
    for (const { name } of COMMANDS) expect(result.stdout).toMatch(new RegExp(`^  ${name}\\s+`, 'mu'));
    for (const text of ['--endpoint', '--token', '--json', '4 refused'])
      expect(result.stdout).toContain(text);
  });

  test.each(COMMANDS.map((command) => command.name))('%s describes itself', async (name) => {
    const result = await runHere([name, '--help']);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain(`Usage: pact-journal ${name}`);
    expect(result.stdout).toContain('--endpoint');
  });

  test.each([
    [['node'], 'node'],
    [['--json'], ''],
    [['--json', 'overlay'], 'overlay'],
  ])('%j leaves out the command: its help on stderr, and a usage error', async (args, name) => {
    const result = await runHere(args);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain(`Usage: pact-journal ${name}`);
    expect(result.stderr).not.toContain('pact-journal: ');
  });

  test('no command at all prints the help on stderr and is a usage error', async () => {
    const result = await runCli([]);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain('Usage: pact-journal');
  });
});

describe('usage errors exit with 2 and one line that says what would be right', () => {
  test.each([
    ['an unknown command', ['comit'], /unknown command 'comit'.*commit/u],
    ['an unknown option', ['capture', '--inclde', 'files'], /unknown option '--inclde'.*--include/u],
    [
      'an unknown kind',
      ['capture', '--include', 'fils'],
      /--include: "fils" is none of mounts, files, .*did you mean files/u,
    ],
    ['a negative size', ['capture', '--etc-max-bytes', '-1'], /--etc-max-bytes: "-1" is not a whole number/u],
    [
      'a bad endpoint',
      ['status', '--endpoint', 'localhost'],
      /--endpoint: "localhost" is not host:port, for example/u,
    ],
    [
      'a port that is none',
      ['status', '--endpoint', 'localhost:70000'],
      /--endpoint: "localhost:70000" is not host:port/u,
    ],
    ['a sequence that is none', ['show', 'first'], /"first" is not a whole number/u],
    [
      'a duration that is none',
      ['commit', '--global', '-f', '-', '--ttl', '2 hours'],
      /--ttl: "2 hours" is not a duration/u,
    ],
    [
      'a ttl below 15 minutes',
      ['commit', '--global', '-f', '-', '--ttl', '5m'],
      /--ttl: .*15 minutes.*10 days/u,
    ],
    ['no scope', ['commit', '-f', '-'], /--vcluster NAME, --node NAME or --global/u],
    [
      'two scopes',
      ['commit', '--global', '--node', 'n1', '-f', '-'],
      /cannot be used with option '--global'/u,
    ],
    ['a missing argument', ['boot'], /missing required argument 'node'/u],
    ['an unknown shell', ['completion', 'csh'], /'csh' is invalid.*bash, zsh, fish/u],
  ])('%s', async (_what, args, expected) => {
    const result = await runHere(args);
    expect(failureLine(result)).toMatch(expected);
    expect(result).toMatchObject({ code: 2, stdout: '' });
  });

  test('a bad PACT_ENDPOINT is called by its name', async () => {
    const result = await runHere(['status'], { env: { PACT_ENDPOINT: '127.0.0.1:1,nonsense' } });
    expect(failureLine(result)).toContain('PACT_ENDPOINT: "nonsense" is not host:port');
    expect(result.code).toBe(2);
  });
});

describe('input is checked before anything is sent', () => {
  const empty = '"mounts":[],"files":[],"network":[],"services":[],"packages":[],"gpu":[]';
  test.each([
    [
      'a file that is not there',
      () => join(folder, 'none.json'),
      /none\.json: no such file, .* JSON file or - /u,
    ],
    ['a directory', () => folder, /is a directory/u],
    ['an empty file', () => file('empty.json', ''), /empty\.json: is empty, expected a state delta/u],
    ['text', () => file('text.json', 'hello'), /text\.json: not JSON \(.*\), expected a state delta/u],
    ['another JSON document', () => file('list.json', '[1]'), /list\.json: delta/u],
    ['an unknown kind', () => file('kind.json', '{"kernels":[]}'), /kind\.json: .*kernels/u],
    [
      'a wrong action',
      () => file('action.json', `{${empty},"kernel":[{"action":"Put","key":"a","value":"1"}]}`),
      /action\.json: kernel\[0\]\.action: must be Add, Remove or Modify/u,
    ],
    [
      'a value that is no string',
      () => file('value.json', `{${empty},"kernel":[{"action":"Add","key":"a","value":1}]}`),
      /value\.json: kernel\[0\]\.value/u,
    ],
  ])('%s', async (_what, path, expected) => {
    const endpoint = `127.0.0.1:${String(await freePort())}`;
    const result = await runHere(['commit', '--vcluster', 'v', '-f', path(), '--endpoint', endpoint]);
    expect(failureLine(result)).toMatch(expected);
    expect(result).toMatchObject({ code: 2, stdout: '' });
  });

  test('a delta that no entry can carry: its size and the allowed one', async () => {
    const item = (n: number) => `{"action":"Add","key":"k${String(n)}","value":"${'v'.repeat(1_000_000)}"}`;
    const path = file('large.json', `{"kernel":[${[1, 2, 3, 4].map(item).join(',')}]}`);
    const result = await runHere(['commit', '--vcluster', 'v', '-f', path]);
    expect(failureLine(result)).toMatch(
      /large\.json: the delta has 40\d{5} bytes, one entry may carry 3\d{6}/u,
    );
    expect(result.code).toBe(2);
  });

  test.each([
    ['commit', ['commit', '--vcluster', 'v', '-f', '-', '-m']],
    ['a dry run of commit', ['commit', '--global', '-f', '-', '--dry-run', '-m']],
    ['rollback', ['rollback', '--to', '1', '-m']],
    ['emergency start', ['emergency', 'start', '--global', '-m']],
    ['emergency end', ['emergency', 'end', '--global', '-m']],
  ])('a message that no entry may carry, its size and the allowed one: %s', async (_what, args) => {
    const endpoint = `127.0.0.1:${String(await freePort())}`;
    const result = await runHere([...args, 'ä'.repeat(32_769), '--endpoint', endpoint], {
      stdin: '{"kernel":[]}',
    });
    expect(failureLine(result)).toMatch(/^--message: .*65536 bytes.* 65538 bytes/u);
    expect(result).toMatchObject({ code: 2, stdout: '' });
  });

  test.each(['', ' \t\n'])('an emergency is not started without a reason: %j', async (reason) => {
    const endpoint = `127.0.0.1:${String(await freePort())}`;
    const start = ['emergency', 'start', '--global', '--endpoint', endpoint, '-m', reason];
    const result = await runHere(start);
    expect(failureLine(result)).toContain('--message: the reason is empty');
    expect(result).toMatchObject({ code: 2, stdout: '' });
  });

  test('an argument that fills pages is repeated in part, and what is wrong with it in full', async () => {
    const result = await runHere(['node', 'list', '--limit', '9'.repeat(10_000)]);
    const cut = `--limit: "${'9'.repeat(199)}…${'9'.repeat(39)}" is not a whole number from 1 to `;
    expect(failureLine(result)).toContain(cut);
    expect(result).toMatchObject({ code: 2, stdout: '' });
  });

  test('a name that no entry may carry is called by its option', async () => {
    for (const option of ['--author', '--role', '--vcluster']) {
      const scope = option === '--vcluster' ? [] : ['--global'];
      const result = await runHere(['emergency', 'end', ...scope, option, 'n'.repeat(5000)]);
      expect(failureLine(result)).toMatch(new RegExp(`^${option}: .* 5000 bytes`, 'u'));
      expect(result.code).toBe(2);
    }
  });

  test('standard input is called standard input', async () => {
    const result = await runHere(['commit', '--vcluster', 'v', '-f', '-'], { stdin: '{' });
    expect(failureLine(result)).toContain('standard input: not JSON');
    expect(result.code).toBe(2);
  });
});

test('an endpoint that nobody listens on exits with 3 and names it', async () => {
  const endpoint = `127.0.0.1:${String(await freePort())}`;
  for (const args of [
    ['status'],
    ['log'],
    ['commit', '--global', '-f', '-'],
    ['boot', 'n1', '--vcluster', 'v'],
  ]) {
    const result = await runHere([...args, '--endpoint', endpoint], { stdin: '{"kernel":[]}' });
    expect(failureLine(result), args[0]).toContain(endpoint);
    expect(result, args[0]).toMatchObject({ code: 3, stdout: '' });
  }
});

describe('completion', () => {
  test('bash completes commands, subcommands and options', async () => {
    const script = await runHere(['completion', 'bash']);
    expect(script).toMatchObject({ code: 0, stderr: '' });
    const complete = (...words: string[]) =>
      execFileSync(
        'bash',
        [
          '-c',
          `${script.stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pact_journal; printf '%s\\n' "\${COMPREPLY[@]}"`,
          'bash',
          'pact-journal',
          ...words,
        ],
        { encoding: 'utf8' },
      )
        .trimEnd()
        .split('\n');
    expect(complete('com')).toEqual(['commit', 'completion']);
    expect(complete('node', 'a')).toEqual(['assign']);
    expect(complete('--json', 'commit', '--vc')).toEqual(['--vcluster']);
    expect(complete('overlay', 'show', '--endp')).toEqual(['--endpoint']);
  });

  test.each(['zsh', 'fish'])('%s gets a script with every command', async (shell) => {
    const script = await runHere(['completion', shell]);
    expect(script).toMatchObject({ code: 0, stderr: '' });
    for (const { name } of COMMANDS) expect(script.stdout).toContain(name);
  });
});

describe('capture', () => {
  test('prints a state delta on stdout and what it did on stderr', async () => {
    const result = await runCli(['capture', '--include', 'kernel,network', '--json']);
    expect(result.code).toBe(0);
    const delta = JSON.parse(result.stdout) as Record<string, unknown[]>;
    expect(Object.keys(delta)).toEqual([
      'mounts',
      'files',
      'network',
      'services',
      'kernel',
      'packages',
      'gpu',
    ]);
    expect(delta['kernel']?.length).toBeGreaterThan(100);
    expect(delta['files']).toEqual([]);
    expect(result.stderr).toMatch(/^captured \d+ items: \d+ network, \d+ kernel$/mu);
  });

  test('of a root that is none is refused', async () => {
    for (const root of [join(folder, 'none'), file('root', '')]) {
      const result = await runHere(['capture', '--root', root]);
      expect(failureLine(result)).toContain(`--root: ${root}`);
      expect(result).toMatchObject({ code: 2, stdout: '' });
    }
  });

  test('the same host gives the same bytes', async () => {
    const [first, second] = [await runCli(['capture']), await runCli(['capture'])];
    expect(first.code).toBe(0);
    expect(second.stdout).toBe(first.stdout);
  });

  test('that cannot be written fails with the path', async () => {
    const path = join(folder, 'none', 'out.json');
    const result = await runHere(['capture', '--include', 'gpu', '-o', path]);
    expect(failureLine(result)).toContain(path);
    expect(result.code).toBe(1);
  });
});
