/**
 * The main job on real input: this host's state is captured, committed, compiled into an overlay, and a node boots from
 * it. What boots is what was committed, field for field.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DELTA_KINDS, type ConfigEntry, type DeltaItem, type StateDelta } from '@pact-journal/journal-state';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startJournal, type RunningJournal } from './journal-process.ts';
import { failureLine, runCli, type CliResult } from './run-cli.ts';

let journal: RunningJournal;
let folder: string;
let captured: StateDelta;
let captureFile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pact-cli-main-'));
  const capture = await runCli(['capture']);
  captureFile = join(folder, 'capture.json');
  writeFileSync(captureFile, capture.stdout);
  captured = JSON.parse(capture.stdout) as StateDelta;
  journal = await startJournal();
});

afterAll(async () => {
  await journal.stop();
  rmSync(folder, { recursive: true });
});

/** Runs a command against the journal with `--json`, expects success and nothing on stderr, and parses its document. */
async function json<Document>(...args: readonly string[]): Promise<Document> {
  const result = await ok(...args);
  const lines = result.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? '') as Document;
}

async function jsonLines<Document>(...args: readonly string[]): Promise<Document[]> {
  const result = await ok(...args);
  return result.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Document);
}

async function ok(...args: readonly string[]): Promise<CliResult> {
  const result = await runCli([...args, '--json'], { env: journal.env });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return result;
}

type Config = Record<
  string,
  Record<string, { readonly value: string | null; readonly spec?: DeltaItem['spec'] }>
>;

/** What a delta declares, as `boot` prints it. */
function declared(...deltas: readonly StateDelta[]): Config {
  const config: Config = Object.fromEntries(DELTA_KINDS.map((kind) => [kind, {}]));
  for (const delta of deltas) {
    for (const kind of DELTA_KINDS) {
      for (const { action, key, value, spec } of delta[kind]) {
        const keys = config[kind] ?? {};
        if (action === 'Remove') delete keys[key];
        else keys[key] = spec === undefined ? { value } : { value, spec };
      }
    }
  }
  return config;
}

const none: StateDelta = {
  mounts: [],
  files: [],
  network: [],
  services: [],
  kernel: [],
  packages: [],
  gpu: [],
};

/** What one node has of its own: another value, an addition and removals, in every kind that the capture can vary. */
function nodeDelta(): StateDelta {
  const kernel = captured.kernel[0]?.key ?? '';
  const removed = captured.packages[0];
  return {
    ...none,
    kernel: [
      { action: 'Modify', key: kernel, value: 'changed\tvalue', previous: captured.kernel[0]?.value ?? null },
      { action: 'Add', key: 'vm.pact_test', value: '1', previous: null },
    ],
    mounts: [
      {
        action: 'Add',
        key: '/scratch of node',
        value: 'lustre@tcp:/scratch',
        previous: null,
        spec: {
          fs_type: 'lustre',
          source: 'lustre@tcp:/scratch',
          options: 'ro,flock,localflock',
          read_only: true,
        },
      },
    ],
    files: [
      {
        action: 'Add',
        key: '/etc/node.conf',
        value: `sha256:${'ab'.repeat(32)}`,
        previous: null,
        spec: { mode: 0o4750, owner: 'munge:munge' },
      },
    ],
    packages:
      removed === undefined
        ? []
        : [{ action: 'Remove', key: removed.key, value: null, previous: removed.value }],
    gpu: [{ action: 'Add', key: '0', value: 'name=test', previous: null }],
  };
}

interface Receipt {
  readonly sequence: number;
  readonly index: number;
  readonly term: number;
}

interface Boot {
  readonly node_id: string;
  readonly vcluster_id: string;
  readonly base_version: number;
  readonly node_version: number;
  readonly overlay_checksum: string;
  readonly overlay_size_bytes: number;
  readonly delta_size_bytes: number;
  readonly duration_ms: number;
  readonly config: Config;
}

test('what boots is what was captured and committed, field for field', async () => {
  const committed = await json<Receipt>(
    'commit',
    '--vcluster',
    'ml-training',
    '-f',
    captureFile,
    '-m',
    'baseline',
  );
  expect(committed).toEqual({
    sequence: 0,
    index: expect.any(Number) as number,
    term: expect.any(Number) as number,
  });

  const shown = await json<ConfigEntry>('show', '0');
  expect(shown.state_delta).toEqual(captured);
  expect(shown).toMatchObject({
    entry_type: 'Commit',
    scope: { VCluster: 'ml-training' },
    message: 'baseline',
    parent: null,
  });

  const other = await json<Boot>('boot', 'n0002', '--vcluster', 'ml-training');
  expect(other.config).toEqual(declared(captured));
  expect(other).toMatchObject({ node_id: 'n0002', vcluster_id: 'ml-training', base_version: 0 });

  const own = nodeDelta();
  const ownFile = join(folder, 'node.json');
  writeFileSync(ownFile, JSON.stringify(own));
  expect(await json<Receipt>('commit', '--node', 'n0001', '-f', ownFile)).toMatchObject({ sequence: 1 });

  const booted = await json<Boot>('boot', 'n0001', '--vcluster', 'ml-training');
  expect(booted.config).toEqual(declared(captured, own));
  expect(booted).toMatchObject({ base_version: 0, node_version: 1 });
  expect(booted.delta_size_bytes).toBeGreaterThan(0);

  const overlay = await json<Record<string, unknown>>('overlay', 'show', 'ml-training');
  expect(overlay).toMatchObject({
    vcluster_id: 'ml-training',
    version: 0,
    checksum: booted.overlay_checksum,
    size_bytes: booted.overlay_size_bytes,
    stale: false,
  });
});

test('boot --out writes a file a kind with what it would have printed', async () => {
  const out = join(folder, 'booted', 'n0001');
  const summary = await json<Omit<Boot, 'config'>>(
    'boot',
    'n0001',
    '--vcluster',
    'ml-training',
    '--out',
    out,
  );
  const written = Object.fromEntries(
    DELTA_KINDS.map((kind) => [kind, JSON.parse(readFileSync(join(out, `${kind}.json`), 'utf8')) as unknown]),
  );
  expect(written).toEqual(declared(captured, nodeDelta()));
  expect(readdirSync(out).sort()).toEqual([...DELTA_KINDS, 'boot'].map((name) => `${name}.json`).sort());
  expect(JSON.parse(readFileSync(join(out, 'boot.json'), 'utf8'))).toEqual(summary);
});

test('a delta of more than 2 MiB is one entry, one overlay and one boot', async () => {
  const packages = Array.from({ length: 30_000 }, (_, n) => ({
    action: 'Add',
    key: `package-${String(n)}`,
    value: `${String(n)}.0-1~deb12u1`,
    previous: null,
  }));
  const path = join(folder, 'large.json');
  writeFileSync(path, JSON.stringify({ ...none, packages }));
  expect(statSync(path).size).toBeGreaterThan(2 * 1024 * 1024);
  await json<Receipt>('commit', '--vcluster', 'large', '-f', path);
  const { config } = await json<Boot>('boot', 'n0003', '--vcluster', 'large');
  expect(Object.keys(config['packages'] ?? {})).toHaveLength(packages.length);
  expect(config['packages']?.['package-29999']).toEqual({ value: '29999.0-1~deb12u1' });
});

test('the log lists what was committed, newest last, and filters', async () => {
  const all = await jsonLines<ConfigEntry>('log');
  expect(all.map((entry) => entry.sequence)).toEqual(all.map((_entry, at) => at));
  expect(all.length).toBeGreaterThanOrEqual(2);
  const nodes = await jsonLines<ConfigEntry>('log', '--node', 'n0001', '--type', 'commit');
  expect(nodes.map((entry) => entry.scope)).toEqual([{ Node: 'n0001' }]);
  const newest = await jsonLines<ConfigEntry>('log', '-n', '1');
  expect(newest).toEqual([all.at(-1)]);
  const human = await runCli(['log'], { env: journal.env });
  expect(human.stdout.split('\n')[0]).toMatch(
    /^\s+0 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}Commit .*vcluster ml-training .*\+\d+ .*baseline$/u,
  );
});

test('status names the leader and every member', async () => {
  const status = await json<Record<string, unknown>>('status');
  expect(status).toMatchObject({
    leader_id: 1,
    members: [{ id: 1, role: 'leader', grpc: journal.endpoints[0] }],
    alarms: [],
  });
  for (const field of ['term', 'commit_index', 'applied_index']) expect(status[field]).toBeGreaterThan(0);
});

test('an endpoint that does not answer is passed over', async () => {
  const args = [
    'log',
    '-n',
    '1',
    '--json',
    '--endpoint',
    '127.0.0.1:1',
    '--endpoint',
    journal.endpoints[0] ?? '',
  ];
  expect(await runCli(args)).toMatchObject({ code: 0, stderr: '' });
});

test.each([
  [
    'a virtual cluster that nothing has mentioned',
    ['boot', 'n1', '--vcluster', 'ml-trainign'],
    /ml-trainign/u,
  ],
  ['a node that is assigned to none', ['boot', 'n9'], /n9/u],
  ['an entry that does not exist', ['show', '4711'], /4711/u],
  ['a parent that does not exist', ['commit', '--global', '-f', '-', '--parent', '4711'], /4711|parent/u],
  ['a node that nothing has mentioned', ['node', 'show', 'nowhere'], /nowhere/u],
])('%s is refused with 4, one line, and changes nothing', async (_what, args, expected) => {
  const before = await ok('log');
  const result = await runCli(args, { env: journal.env, stdin: '{"kernel":[]}' });
  expect(failureLine(result)).toMatch(expected);
  expect(result).toMatchObject({ code: 4, stdout: '' });
  expect((await ok('log')).stdout).toBe(before.stdout);
});

test('a directory that cannot be written to fails with its path', async () => {
  const blocked = join(folder, 'file');
  writeFileSync(blocked, '');
  mkdirSync(join(folder, 'dir'), { recursive: true });
  const result = await runCli(['boot', 'n1', '--vcluster', 'ml-training', '--out', join(blocked, 'x')], {
    env: journal.env,
  });
  expect(failureLine(result)).toContain(blocked);
  expect(result).toMatchObject({ code: 1, stdout: '' });
});
