/** Questions to a running journal and its administration, through the real command line. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { AdminOperation, ConfigEntry, StateDelta, VClusterPolicy } from '@pact-journal/journal-state';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startJournal, type RunningJournal } from './journal-process.ts';
import { failureLine, runHere, startCli, type CliProcess, type CliResult } from './run-cli.ts';

let journal: RunningJournal;

beforeAll(async () => {
  journal = await startJournal();
});

afterAll(() => journal.stop());

async function run(args: readonly string[], stdin = ''): Promise<CliResult> {
  return runHere(args, { env: journal.env, stdin });
}

async function jsonLines<Document>(args: readonly string[], stdin = ''): Promise<Document[]> {
  const result = await run([...args, '--json'], stdin);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return result.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Document);
}

async function json<Document>(args: readonly string[], stdin = ''): Promise<Document> {
  const documents = await jsonLines<Document>(args, stdin);
  expect(documents).toHaveLength(1);
  return documents[0] as Document;
}

interface Receipt {
  readonly sequence: number;
  readonly index: number;
  readonly term: number;
}

/** Commits sysctls to a scope and returns the sequence. */
async function commit(
  scope: readonly string[],
  values: Readonly<Record<string, string | null>>,
  ...more: string[]
): Promise<number> {
  const kernel = Object.entries(values).map(([key, value]) => ({
    action: value === null ? 'Remove' : 'Add',
    key,
    value,
  }));
  const receipt = await json<Receipt>(['commit', ...scope, '-f', '-', ...more], JSON.stringify({ kernel }));
  expect(receipt).toEqual({
    sequence: expect.any(Number) as number,
    index: expect.any(Number) as number,
    term: expect.any(Number) as number,
  });
  return receipt.sequence;
}

async function sysctls(node: string, vcluster: string): Promise<Record<string, string | null>> {
  const { config } = await json<{ config: { kernel: Record<string, { value: string | null }> } }>([
    'boot',
    node,
    '--vcluster',
    vcluster,
  ]);
  return Object.fromEntries(Object.entries(config.kernel).map(([key, { value }]) => [key, value]));
}

describe('a scope through time', () => {
  const scope = ['--vcluster', 'hist'];
  let first: number;
  let second: number;

  beforeAll(async () => {
    first = await commit(scope, { 'vm.a': '1', 'vm.b': '1' }, '-m', 'first', '--author', 'alice');
    second = await commit(scope, { 'vm.a': '2', 'vm.c': '1' }, '-m', 'second', '--author', 'bob');
  });

  test('diff says what changed between two entries, in the right direction', async () => {
    const forward = await json<StateDelta>(['diff', ...scope, String(first), String(second)]);
    expect(forward.kernel.map(({ action, key, value, previous }) => [action, key, value, previous])).toEqual([
      ['Modify', 'vm.a', '2', '1'],
      ['Add', 'vm.c', '1', null],
    ]);
    const back = await json<StateDelta>(['diff', ...scope, String(second), String(first)]);
    expect(back.kernel.map(({ action, key }) => [action, key])).toEqual([
      ['Modify', 'vm.a'],
      ['Remove', 'vm.c'],
    ]);
    expect((await run(['diff', ...scope])).stdout).toBe('no difference\n');
  });

  test('history lists the entries of a key, each with what it says about that key only', async () => {
    const entries = await jsonLines<ConfigEntry>(['history', 'kernel', 'vm.a', ...scope]);
    expect(
      entries.map((entry) => [entry.sequence, entry.state_delta?.kernel.map((item) => item.key)]),
    ).toEqual([
      [first, ['vm.a']],
      [second, ['vm.a']],
    ]);
  });

  test('blame names the entry and author that set each key', async () => {
    const items = await jsonLines<{ key: string; set_by: number; set_author: { principal: string } }>([
      'blame',
      ...scope,
      '--kind',
      'kernel',
    ]);
    expect(items.map((item) => [item.key, item.set_by, item.set_author.principal])).toEqual([
      ['vm.a', second, 'bob'],
      ['vm.b', first, 'alice'],
      ['vm.c', second, 'bob'],
    ]);
    const then = await jsonLines<{ key: string; set_by: number }>([
      'blame',
      ...scope,
      '--as-of',
      String(first),
    ]);
    expect(then.map((item) => [item.key, item.set_by])).toEqual([
      ['vm.a', first],
      ['vm.b', first],
    ]);
  });

  test('rollback restores what was, and a dry run of it only says so', async () => {
    const preview = await json<Record<string, unknown>>(['rollback', '--to', String(first), '--dry-run']);
    expect(preview).toMatchObject({ dry_run: true, affected_vclusters: 1 });
    expect(await sysctls('h1', 'hist')).toEqual({ 'vm.a': '2', 'vm.b': '1', 'vm.c': '1' });
    const receipt = await json<Receipt>(['rollback', '--to', String(first), '-m', 'undo']);
    expect(await json<ConfigEntry>(['show', String(receipt.sequence)])).toMatchObject({
      entry_type: 'Rollback',
      scope: { VCluster: 'hist' },
      parent: first,
      message: 'undo',
    });
    expect(await sysctls('h1', 'hist')).toEqual({ 'vm.a': '1', 'vm.b': '1' });
  });
});

test('commit --dry-run says what would change on how many nodes and appends nothing', async () => {
  for (const node of ['dry-1', 'dry-2', 'dry-3']) await run(['node', 'assign', node, 'dry']);
  const before = (await run(['log', '--json'])).stdout;
  const delta = JSON.stringify({ kernel: [{ action: 'Add', key: 'vm.dry', value: '1' }] });
  const preview = await json<Record<string, unknown>>(
    ['commit', '--vcluster', 'dry', '-f', '-', '--dry-run'],
    delta,
  );
  expect(preview).toMatchObject({
    dry_run: true,
    affected_nodes: 3,
    wants_approval: false,
    delta: { kernel: [{ key: 'vm.dry', value: '1' }] },
  });
  const human = await run(['commit', '--vcluster', 'dry', '-f', '-', '--dry-run'], delta);
  expect(human.stdout).toMatch(/\+ vm\.dry = 1[^]*would change \+1 on 3 nodes/u);
  expect((await run(['log', '--json'])).stdout).toBe(before);
});

test('nodes: assigned, listed, shown, their state set; a boot without a virtual cluster uses the assignment', async () => {
  await commit(['--vcluster', 'nodes'], { 'vm.shared': '1' });
  await json(['node', 'assign', 'node-a', 'nodes']);
  await json(['node', 'assign', 'node-b', 'nodes']);
  await commit(['--node', 'node-a'], { 'vm.own': '7' });
  await json(['node', 'set-state', 'node-b', 'drifted']);

  expect(await jsonLines(['node', 'list', '--vcluster', 'nodes'])).toEqual([
    expect.objectContaining({ node_id: 'node-a', vcluster_id: 'nodes', deviations: 1 }),
    expect.objectContaining({ node_id: 'node-b', config_state: 'Drifted', deviations: 0 }),
  ]);
  const deviating = await jsonLines<{ node_id: string }>([
    'node',
    'list',
    '--vcluster',
    'nodes',
    '--deviating',
  ]);
  expect(deviating.map((node) => node.node_id)).toEqual(['node-a']);
  const shown = await json<{ delta: StateDelta }>(['node', 'show', 'node-a']);
  expect(shown.delta.kernel.map(({ key, value }) => [key, value])).toEqual([['vm.own', '7']]);

  const boot = await json<{ vcluster_id: string; config: { kernel: object } }>(['boot', 'node-a']);
  expect(boot.vcluster_id).toBe('nodes');
  expect(boot.config.kernel).toEqual({ 'vm.own': { value: '7' }, 'vm.shared': { value: '1' } });

  await json(['node', 'assign', 'node-b', '--none']);
  expect(await json(['node', 'show', 'node-b'])).toMatchObject({ vcluster_id: null });
});

test('a policy is the default until it is set, field by field or whole', async () => {
  await commit(['--vcluster', 'pol'], { 'vm.p': '1' });
  expect(await json<VClusterPolicy>(['policy', 'get', 'pol'])).toMatchObject({
    enforcement_mode: 'observe',
    drift_sensitivity: 2,
  });
  await json(['policy', 'set', 'pol', '--set', 'enforcement_mode=warn', '--set', 'exec_whitelist=["ps"]']);
  const set = await json<VClusterPolicy>(['policy', 'get', 'pol']);
  expect(set).toMatchObject({ enforcement_mode: 'warn', exec_whitelist: ['ps'], drift_sensitivity: 2 });
  await json(['policy', 'set', 'pol', '-f', '-'], JSON.stringify({ ...set, enforcement_mode: 'enforce' }));
  expect(await json(['policy', 'get', 'pol'])).toMatchObject({
    enforcement_mode: 'enforce',
    exec_whitelist: ['ps'],
  });
  const next = await json<{ policy_ref: string }>(['policy', 'set', 'pol', '--set', 'exec_whitelist=["ls"]']);
  const after = await json<{ policy_ref: string }>(['policy', 'set', 'pol', '--set', 'exec_whitelist=[]']);
  expect([next, after].map((outcome) => /^pol@\d+$/u.test(outcome.policy_ref))).toEqual([true, true]);
  expect(after.policy_ref).not.toBe(next.policy_ref);
  const wrong = await run(['policy', 'set', 'pol', '--set', 'enforcement_mode=strict']);
  expect(failureLine(wrong)).toMatch(/enforcement_mode: must be observe, warn or enforce|enforcement_mode/u);
  expect(wrong.code).toBe(2);
});

test('a commit that needs a second person says so, is listed, and takes effect when somebody else approves it', async () => {
  await json(['policy', 'set', 'duo', '--set', 'two_person_approval=true', '--author', 'ada']);
  const args = ['commit', '--vcluster', 'duo', '-f', '-', '--author', 'ada'];
  const change = (value: string): string =>
    JSON.stringify({ kernel: [{ action: 'Add', key: 'vm.duo', value, previous: null }] });
  const dryRun = await json<{ wants_approval: boolean }>([...args, '--dry-run'], change('1'));
  expect(dryRun.wants_approval).toBe(true);
  expect((await run([...args, '--dry-run'], change('1'))).stdout).toMatch(
    /nothing was committed\nit would wait for a second person/u,
  );
  expect(await jsonLines(['policy', 'approvals', 'duo'])).toEqual([]);
  const asked = await json<Receipt & { pending_approval?: true }>(args, change('1'));
  expect(asked.pending_approval).toBe(true);
  const id = String(asked.sequence);
  const approvals = await jsonLines<{ approval_id: string }>(['policy', 'approvals', 'duo']);
  expect(approvals).toMatchObject([{ approval_id: id, action: 'commit', requester: 'ada' }]);
  expect((await run(['show', id])).stdout).toMatch(/asks for\s+Commit, until/u);

  const own = await run(['policy', 'approve', id, '--author', 'ada']);
  expect(own).toMatchObject({ code: 4, stdout: '' });
  expect(failureLine(own)).toContain('somebody else must approve it');
  expect((await run(['policy', 'approve', id, '--author', 'bob', '-m', 'seen'])).stdout).toContain(
    'approved',
  );
  expect((await run(['show', String(asked.sequence + 1)])).stdout).toMatch(
    /approval\s+entry \d+ approved by bob .*: seen/u,
  );

  const words = await run(args, change('2'));
  expect(words.stdout).toMatch(/not in effect yet.*policy approve \d+/u);
  const next = String(asked.sequence + 2);
  expect((await run(['policy', 'deny', next, '--author', 'bob'])).stdout).toContain('rejected');
  expect(await jsonLines(['policy', 'approvals'])).toEqual([]);

  // Nor can one person switch the rule off.
  const off = ['policy', 'set', 'duo', '--set', 'two_person_approval=false', '--author', 'ada'];
  const told = await run(off);
  expect(told).toMatchObject({ code: 0, stderr: '' });
  const first = /not in effect yet.*policy approve (\d+)/u.exec(told.stdout)?.[1] ?? '';
  expect((await run(['policy', 'deny', first, '--author', 'ada'])).code).toBe(0);
  const { approval_id: waiting, ...rest } = await json<{ approval_id: string }>(off);
  expect(rest).toEqual({ pending_approval: true });
  expect(await json(['policy', 'get', 'duo'])).toMatchObject({ two_person_approval: true });
  expect(await json(['policy', 'approve', waiting, '--author', 'bob'])).toMatchObject({
    decision: 'approved',
  });
  expect(await json(['policy', 'get', 'duo'])).toMatchObject({ two_person_approval: false });

  const allowed = ['policy', 'evaluate', 'read', '--vcluster', 'duo'];
  expect((await run(allowed)).stdout).toBe('allowed\n');
  const denied = await run([
    'policy',
    'evaluate',
    'commit',
    '--vcluster',
    'duo',
    '--role',
    'pact-viewer-duo',
  ]);
  expect(denied).toMatchObject({ code: 4, stdout: '' });
});

test('A2: one emergency of a node at a time, listed until it ends', async () => {
  await commit(['--node', 'em-1'], { 'vm.e': '1' });
  await json<Receipt>(['emergency', 'start', '--node', 'em-1', '-m', 'fan failure']);
  const again = await run(['emergency', 'start', '--node', 'em-1', '-m', 'twice']);
  expect(again).toMatchObject({ code: 4, stdout: '' });
  expect(failureLine(again)).toContain('em-1');
  const running = await jsonLines<{ reason: string; stale: boolean }>(['emergency', 'list']);
  expect(running).toEqual([
    expect.objectContaining({ reason: 'fan failure', stale: false, scope: { Node: 'em-1' } }),
  ]);
  expect(await json(['node', 'show', 'em-1'])).toMatchObject({ config_state: 'Emergency' });
  await json<Receipt>(['emergency', 'end', '--node', 'em-1', '-m', 'replaced']);
  expect(await jsonLines(['emergency', 'list'])).toEqual([]);
});

test('P8: a service cannot start an emergency', async () => {
  const result = await run([
    'emergency',
    'start',
    '--node',
    'em-2',
    '-m',
    'x',
    '--author',
    'bot',
    '--author-type',
    'service',
  ]);
  expect(result).toMatchObject({ code: 4, stdout: '' });
});

test('operations are recorded once and listed in order', async () => {
  const record = [
    'op',
    'record',
    '--node',
    'op-1',
    '--detail',
    'systemctl restart munge',
    '--exit-code',
    '0',
    '--id',
    'op-id-1',
  ];
  expect(await json(record)).toMatchObject({ operation_id: 'op-id-1' });
  await json([
    'op',
    'record',
    '--node',
    'op-1',
    '--type',
    'shellstart',
    '--detail',
    'session-7',
    '--author',
    'eve',
  ]);
  expect(await run(record)).toMatchObject({ code: 4, stdout: '' });
  const operations = await jsonLines<AdminOperation>(['op', 'list']);
  expect(
    operations.map(({ operation_type, detail, exit_code, scope }) => [
      operation_type,
      detail,
      exit_code,
      scope,
    ]),
  ).toEqual([
    ['Exec', 'systemctl restart munge', 0, { Node: 'op-1' }],
    ['ShellStart', 'session-7', null, { Node: 'op-1' }],
  ]);
});

test('overlays are listed, rebuilt, and verified against what is declared', async () => {
  const version = await commit(['--vcluster', 'ov'], { 'vm.o': '1' });
  expect(await json(['overlay', 'rebuild', 'ov'])).toMatchObject({
    vcluster_id: 'ov',
    version,
    stale: false,
  });
  const names = (await jsonLines<{ vcluster_id: string }>(['overlay', 'list'])).map(
    (overlay) => overlay.vcluster_id,
  );
  expect(names).toContain('ov');
  expect(names).toEqual([...names].sort());
  expect(await json(['overlay', 'verify', 'ov'])).toMatchObject({
    vcluster_id: 'ov',
    verified: true,
    keys: 1,
  });
});

test('a storm of boots verifies every payload and reports', async () => {
  await commit(
    ['--vcluster', 'storm'],
    Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`vm.s${String(n)}`, String(n)])),
  );
  const report = await json<Record<string, number>>([
    'storm',
    '--vcluster',
    'storm',
    '--nodes',
    '300',
    '--concurrency',
    '50',
    '--niceness',
    '0',
  ]);
  expect(report).toMatchObject({ nodes: 300, succeeded: 300, failed: 0, failures: {} });
  for (const field of ['duration_s', 'boots_per_s', 'mb_per_s', 'p50_ms', 'p99_ms', 'max_ms'])
    expect(report[field]).toBeGreaterThan(0);
});

test('a storm on an unknown virtual cluster reports the failures and is refused', async () => {
  const result = await run([
    'storm',
    '--vcluster',
    'nobody',
    '--nodes',
    '5',
    '--concurrency',
    '2',
    '--niceness',
    '0',
    '--json',
  ]);
  expect(JSON.parse(result.stdout)).toMatchObject({
    nodes: 5,
    succeeded: 0,
    failed: 5,
    failures: { NOT_FOUND: 5 },
  });
  expect(failureLine(result)).toMatch(/5 of 5 boots failed, the first with NOT_FOUND/u);
  expect(result.code).toBe(4);
});

describe('following', () => {
  /** Starts a command that goes on, and resolves to its lines until `count` have come. */
  function follow(args: readonly string[]): {
    child: CliProcess;
    lines: (count: number) => Promise<Record<string, unknown>[]>;
  } {
    const child = startCli([...args, '--json'], { env: journal.env });
    const seen: Record<string, unknown>[] = [];
    const ended = once(child, 'close').then(() => {
      throw new Error('the command ended by itself');
    });
    // Only of interest while lines are waited for.
    ended.catch(() => undefined);
    const reader = createInterface({ input: child.stdout });
    reader.on('line', (line) => seen.push(JSON.parse(line) as Record<string, unknown>));
    return {
      child,
      lines: async (count) => {
        while (seen.length < count) await Promise.race([once(reader, 'line'), ended]);
        return seen;
      },
    };
  }

  async function stopped(child: CliProcess): Promise<number | null> {
    const exited = once(child, 'close');
    child.kill('SIGINT');
    const [code] = (await exited) as [number | null];
    return code;
  }

  test('watch shows what concerns a node as it is committed', async () => {
    const start = await commit(['--vcluster', 'watched'], { 'vm.w': '1' });
    const { child, lines } = follow([
      'watch',
      '--node',
      'w1',
      '--vcluster',
      'watched',
      '--from',
      String(start),
    ]);
    await lines(1);
    await commit(['--vcluster', 'elsewhere'], { 'vm.w': '2' });
    const own = await commit(['--node', 'w1'], { 'vm.w': '3' });
    const updates = await lines(2);
    expect(updates.map((update) => [update['sequence'], update['kind']])).toEqual([
      [start, 'vcluster_change'],
      [own, 'node_change'],
    ]);
    expect(await stopped(child)).toBe(0);
  });

  test('log --follow goes on with new entries', async () => {
    const start = await commit(['--vcluster', 'followed'], { 'vm.f': '1' });
    const { child, lines } = follow(['log', '--vcluster', 'followed', '--follow']);
    await lines(1);
    const next = await commit(['--vcluster', 'followed'], { 'vm.f': '2' });
    const entries = await lines(2);
    expect(entries.map((entry) => entry['sequence'])).toEqual([start, next]);
    expect(await stopped(child)).toBe(0);
  });
});

test('members are listed; a snapshot is taken', async () => {
  expect(await json(['member', 'list'])).toMatchObject({ members: [{ id: 1, role: 'leader' }] });
  await commit(['--global'], { 'vm.snapshot': '1' });
  const snapshot = await json<Record<string, number>>(['snapshot']);
  expect(snapshot['index']).toBeGreaterThan(0);
  expect(snapshot['size_bytes']).toBeGreaterThan(0);
});

test('removing the only voter is refused', async () => {
  const result = await run(['member', 'remove', '1']);
  expect(result).toMatchObject({ code: 4, stdout: '' });
  failureLine(result);
});

test.each(['node', 'overlay'])('%s show refuses a name that fits no trailers as any other', async (what) => {
  const refused = await run([what, 'show', 'n'.repeat(70_000)]);
  expect(refused).toMatchObject({ code: 4, stdout: '' });
  expect(failureLine(refused)).toMatch(/nothing has ever mentioned node "n|there is no virtual cluster "n/u);
  expect(refused.stderr.length).toBeLessThan(1_000);
});
