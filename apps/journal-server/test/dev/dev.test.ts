/** `pact-journal dev`: what it starts, and that nothing of it is left. */
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureLine, runCli, startCli, type CliProcess } from '../cli/run-cli.ts';
import { append, commitOf, listing, stubs } from '../support/calls.ts';
import { freePorts, type NodeLine } from '../support/test-cluster.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pact-dev-'));
});

afterAll(async () => {
  // Its nodes notice, and end by themselves.
  for (const child of started) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

interface Dev {
  readonly child: CliProcess;
  readonly nodes: readonly NodeLine[];
  readonly exited: Promise<number | null>;
}

const started: CliProcess[] = [];

async function startDev(...flags: string[]): Promise<Dev> {
  const child = startCli(['dev', '--json', ...flags]);
  started.push(child);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  const nodes = await new Promise<readonly NodeLine[]>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve((JSON.parse(line) as { nodes: readonly NodeLine[] }).nodes);
    });
    void exited.then(() => {
      reject(new Error(`dev ended before it was ready:\n${errors}`));
    });
  });
  return { child, nodes, exited };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function allGone(nodes: readonly NodeLine[]): Promise<void> {
  await expect
    .poll(() => nodes.filter(({ pid }) => isRunning(pid)).map(({ id }) => id), { timeout: 15_000 })
    .toEqual([]);
}

describe('a local cluster', () => {
  test('is a process, a directory and three ports a node; stops whole on SIGTERM; goes on where it was, also on other ports', async () => {
    const dataDir = join(folder, 'cluster');
    const base = await freePorts(40);
    const first = await startDev(
      '--nodes',
      '3',
      '--learners',
      '1',
      '--base-port',
      String(base),
      '--data-dir',
      dataDir,
    );
    expect(first.nodes.map(({ id, role }) => [id, role === 'learner'])).toEqual([
      [1, false],
      [2, false],
      [3, false],
      [4, true],
    ]);
    expect(first.nodes.filter(({ role }) => role === 'leader')).toHaveLength(1);
    expect(first.nodes.map(({ grpc }) => grpc)).toEqual(
      [0, 10, 20, 30].map((offset) => `127.0.0.1:${String(base + offset)}`),
    );
    expect(new Set(first.nodes.map(({ pid }) => pid)).size).toBe(4);
    for (const { data_dir } of first.nodes) await access(join(data_dir, 'raft', 'vote.json'));
    const writer = stubs(first.nodes[3]?.grpc ?? '');
    await append(writer, commitOf('vm.x', '1', 'Global', { policy_ref: 'kept' }));
    writer.close();
    first.child.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    await allGone(first.nodes);

    const elsewhere = await freePorts(40);
    const second = await startDev('--base-port', String(elsewhere), '--data-dir', dataDir);
    expect(second.nodes).toHaveLength(4);
    const reader = stubs(second.nodes[3]?.grpc ?? '');
    await append(reader, commitOf('vm.x', '2', 'Global', { policy_ref: 'written through the learner' }));
    await expect
      .poll(() => listing(reader), { timeout: 15_000 })
      .toEqual(['0 kept', '1 written through the learner']);
    reader.close();
    // Nothing can be tidied up by a process that is killed: its nodes have to notice by themselves.
    second.child.kill('SIGKILL');
    await allGone(second.nodes);
  });

  test('of another shape than the directory holds is refused', async () => {
    const dataDir = join(folder, 'shape');
    const base = String(await freePorts(3));
    const { child, exited, nodes } = await startDev(
      '--nodes',
      '1',
      '--base-port',
      base,
      '--data-dir',
      dataDir,
    );
    expect(nodes.map(({ role }) => role)).toEqual(['leader']);
    child.kill('SIGINT');
    expect(await exited).toBe(0);
    const result = await runCli(['dev', '--nodes', '3', '--base-port', base, '--data-dir', dataDir]);
    expect(result.code).toBe(2);
    expect(failureLine(result)).toContain('holds a cluster of 1 node, not of 3 nodes');
  });

  test.each([
    ['no voter at all', ['--nodes', '0'], /--nodes.*from 1 to 9/],
    ['ports beyond the last', ['--base-port', '65500', '--nodes', '5'], /--base-port 65500: .*at most 65493/],
  ])('%s is refused with the flag named', async (_name, flags, message) => {
    const result = await runCli(['dev', ...flags, '--data-dir', join(folder, 'refused')]);
    expect(result.code).toBe(2);
    expect(failureLine(result)).toMatch(message);
  });

  test('tells a person where it is and what to try', async () => {
    const base = String(await freePorts(3));
    const child = startCli([
      'dev',
      '--nodes',
      '1',
      '--base-port',
      base,
      '--data-dir',
      join(folder, 'greeting'),
    ]);
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    await expect.poll(() => out, { timeout: 15_000 }).toContain('Ctrl-C');
    expect(out).toContain(`127.0.0.1:${base}`);
    for (const command of ['capture > capture.json', 'commit --vcluster', 'boot node-001'])
      expect(out).toContain(command);
    child.kill('SIGINT');
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  });
});
