/** What Prometheus, Grafana and the alerts see of a real cluster. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { append, commitOf, stubs } from '../support/calls.ts';
import { requireDebianPackage } from '../support/debian.ts';
import { LokiReceiver } from '../support/loki-receiver.ts';
import { PrometheusServer, promtool } from '../support/prometheus.ts';
import { TestCluster, type TestNode } from '../support/test-cluster.ts';

const RULES = fileURLToPath(new URL('../../deploy/prometheus/rules.yml', import.meta.url));
const DASHBOARD = new URL('../../deploy/grafana/pact-journal.json', import.meta.url);
/** These have a value only once something has gone wrong, or, of the backup, where one is configured. */
const NOT_ALWAYS_THERE = [
  'pact_alarms_raised',
  'pact_raft_callers_refused_total',
  'pact_journal_overlay_failures_total',
  'pact_auth_failures_total',
  'pact_backup_failing',
  'pact_backup_failures_total',
  'pact_backup_lag_entries',
  'pact_backup_lag_seconds',
];

let cluster: TestCluster;
let loki: LokiReceiver;
let prometheus: PrometheusServer;

beforeAll(async () => {
  await requireDebianPackage('promtool', 'prometheus');
  loki = await LokiReceiver.start();
  cluster = await TestCluster.start({
    nodes: 3,
    flags: ['--loki-url', loki.url, '--loki-batch-wait', '50ms'],
  });
  prometheus = await PrometheusServer.start(
    cluster.places.map(({ metrics }) => metrics),
    RULES,
  );
  const leader = await cluster.leader();
  const client = stubs(leader.place.grpc);
  await append(client, commitOf('vm.scraped', '1', { VCluster: 'ml' }));
  await new Promise<void>((resolve, reject) => {
    const boot = client.boot.streamBootConfig({
      nodeId: 'n1',
      vclusterId: 'ml',
      lastKnownVersion: undefined,
    });
    boot
      .on('data', () => undefined)
      .on('error', reject)
      .on('end', resolve);
  });
  client.close();
}, 600_000);

afterAll(async () => {
  await prometheus.stop();
  await cluster.stop();
  await loki.close();
});

const exposition = async (node: TestNode): Promise<string> => (await node.http('/metrics')).text();

/** Expressions of the dashboard's panels, with its variables filled in. */
async function dashboardExpressions(): Promise<readonly string[]> {
  const { panels } = JSON.parse(await readFile(DASHBOARD, 'utf8')) as {
    readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  };
  return panels
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .map((expr) =>
      expr
        .replaceAll('$__rate_interval', '10s')
        .replaceAll('$job', 'pact-journal')
        .replaceAll('$instance', '.*'),
    );
}

async function alertNames(): Promise<readonly string[]> {
  return [...(await readFile(RULES, 'utf8')).matchAll(/- alert: (\w+)/g)].map(([, name]) => name ?? '');
}

async function ruleExpressions(): Promise<readonly string[]> {
  return [...(await readFile(RULES, 'utf8')).matchAll(/^\s+expr:(.*(?:\n {10,}.*)*)/gm)].map(
    ([, text]) => text ?? '',
  );
}

function metricsIn(expressions: readonly string[]): ReadonlySet<string> {
  return new Set(expressions.flatMap((text) => text.match(/\b(pact|nodejs|process)_\w+/g) ?? []));
}

describe('the metrics', () => {
  test('are named and typed by the rules, on the leader and on followers', async () => {
    for (const node of cluster.running) {
      expect(await promtool(['check', 'metrics'], await exposition(node))).toEqual({ code: 0, output: '' });
    }
  });

  test('that the dashboard and the alerts use exist, each on every member', async () => {
    const used = metricsIn([...(await dashboardExpressions()), ...(await ruleExpressions())]);
    expect(used.size).toBeGreaterThan(50);
    for (const node of cluster.running) {
      const text = await exposition(node);
      const families = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
      const missing = [...used].filter((name) => !families.has(name.replace(/_(bucket|sum|count)$/, '')));
      // A histogram's parts are named after it; everything else has its own name.
      expect(missing.filter((name) => !families.has(name))).toEqual([]);
    }
    // And Prometheus has a value of each.
    const wanted = [...used].filter((name) => !NOT_ALWAYS_THERE.includes(name)).sort();
    await expect
      .poll(async () => {
        const known = await prometheus.metricNames();
        return wanted.filter((name) => !known.includes(name));
      })
      .toEqual([]);
  });

  test('are all in TELEMETRY.md, and nothing else is', async () => {
    const document = await readFile(new URL('../../TELEMETRY.md', import.meta.url), 'utf8');
    const documented = [...document.matchAll(/^\| `(pact_\w+)` /gm)].map(([, name]) => name);
    const text = await exposition(await cluster.leader());
    const served = [...text.matchAll(/^# TYPE (pact_\S+) /gm)].map(([, name]) => name);
    expect(documented.sort()).toEqual(served.sort());
  });

  test('of replication tell the truth: a follower that is away lags by what it lacks', async () => {
    const leader = await cluster.leader();
    const follower = cluster.running.find((node) => node !== leader);
    const id = follower?.place.id ?? 0;
    const value = async (name: string): Promise<number> => {
      const line = new RegExp(`^${name}\\{follower="${String(id)}"\\} (\\S+)$`, 'm');
      return Number(line.exec(await exposition(leader))?.[1]);
    };
    await expect.poll(() => value('pact_raft_replication_lag')).toBe(0);
    expect(await value('pact_raft_follower_active')).toBe(1);
    await follower?.kill('SIGKILL');
    const client = stubs(leader.place.grpc);
    for (let i = 0; i < 20; i += 1) await append(client, commitOf('vm.lag', String(i), { Node: 'n1' }));
    client.close();
    expect(await value('pact_raft_replication_lag')).toBeGreaterThanOrEqual(20);
    expect(await value('pact_raft_replication_lag')).toBeLessThan(40);
    await expect.poll(() => value('pact_raft_replication_lag_seconds')).toBeGreaterThan(0.5);
    await expect.poll(() => value('pact_raft_follower_active')).toBe(0);
    await cluster.startNode(id).ready();
    await expect.poll(() => value('pact_raft_replication_lag')).toBe(0);
    await expect.poll(() => value('pact_raft_replication_lag_seconds')).toBe(0);
  });
});

describe('a real Prometheus', () => {
  test('scrapes all members and finds one leader with two followers', async () => {
    const value = async (expression: string): Promise<number> =>
      Number((await prometheus.query(expression))[0]?.value[1]);
    await expect.poll(() => value('sum(up{job="pact-journal"})')).toBe(3);
    await expect.poll(() => value('sum(pact_raft_leader)')).toBe(1);
    await expect.poll(() => value('count(pact_raft_replication_lag)')).toBe(2);
    await expect.poll(() => value('min(pact_journal_entries_total)')).toBeGreaterThan(0);
    await expect.poll(() => value('max(pact_loki_lag_entries)')).toBe(0);
    await expect.poll(() => value('sum(pact_loki_entries_total)')).toBeGreaterThan(0);
  });

  test('understands every expression of the dashboard', async () => {
    for (const expression of await dashboardExpressions()) await prometheus.query(expression);
  });

  test('evaluates every alert, and a healthy cluster raises none', async () => {
    const names = await alertNames();
    await expect
      .poll(async () => (await prometheus.rules()).filter(({ health }) => health === 'ok').length)
      .toBe(names.length);
    const firing = (await prometheus.rules()).filter(({ state }) => state === 'firing');
    expect(firing.map(({ name }) => name)).toEqual([]);
  });
});

describe('the alert rules', () => {
  const directory = dirname(RULES);

  test('are well formed', async () => {
    expect(await promtool(['check', 'rules', RULES])).toMatchObject({ code: 0 });
    const example = await promtool(['check', 'config', 'prometheus.yml'], '', directory);
    expect(example).toMatchObject({ code: 0 });
  });

  test('fire for what they are about and are silent otherwise, each of them', async () => {
    const result = await promtool(['test', 'rules', 'rules.test.yml'], '', directory);
    expect(result).toMatchObject({ code: 0 });
    const tests = await readFile(`${directory}/rules.test.yml`, 'utf8');
    for (const name of await alertNames()) {
      expect(tests).toContain(`name: ${name} fires`);
      expect(tests).toContain(`name: ${name} is silent`);
    }
  });
});
