/** A cluster that is restarted and upgraded one node at a time while clients write, and a version that does not fit. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHere } from '../cli/run-cli.ts';
import { expectWhole, Load } from '../support/load.ts';
import { TestCluster, type TestNode } from '../support/test-cluster.ts';

const SERVE_AS = fileURLToPath(new URL('../support/serve-as.ts', import.meta.url));
/** An election of the default timing takes at most twice 800 ms after a silence of at most twice that. */
const ELECTION_MS = 3_200;

interface Status {
  readonly version: string;
  readonly members: readonly { readonly id: number; readonly version: string }[];
  readonly alarms: readonly { readonly code: string; readonly node_id: number; readonly message: string }[];
}

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 3 });
});

afterAll(async () => {
  await cluster.stop();
});

async function status(): Promise<Status> {
  const env = { PACT_ENDPOINT: cluster.running.map(({ place }) => place.grpc).join(',') };
  const { code, stdout, stderr } = await runHere(['status', '--json'], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Status;
}

const startAs = (id: number, version: string): TestNode =>
  cluster.startNode(id, { program: SERVE_AS, env: { TEST_VERSION: version } });

async function isReady(node: TestNode): Promise<void> {
  await expect
    .poll(async () => (await node.http('/ready').catch(() => undefined))?.status, { timeout: 20_000 })
    .toBe(200);
}

test('an upgrade of one node after the other, the leader last, is not noticed by clients that retry', async () => {
  const load = new Load(cluster.places.map(({ grpc }) => grpc));
  await load.goesOn();
  const { version: before } = await status();
  const leader = (await cluster.leader()).place.id;
  for (const id of [...[1, 2, 3].filter((other) => other !== leader), leader]) {
    await cluster.node(id).kill('SIGTERM');
    await isReady(startAs(id, '0.2.0'));
    await load.goesOn();
    const versions = (await status()).members.map((member) => member.version);
    expect(versions[id - 1]).toBe('0.2.0');
    if (id !== leader) expect(versions[leader - 1]).toBe(before);
  }
  const report = await load.stop();
  expect(report.failures).toEqual([]);
  expect(report.slowestMs).toBeLessThan(ELECTION_MS);
  await expectWhole(report, cluster.places[0]?.grpc ?? '');
});

test('a version that cannot be mixed is kept out with words, an alarm and a metric, and harms nobody', async () => {
  const load = new Load(cluster.places.map(({ grpc }) => grpc));
  const leader = await cluster.leader();
  const stale = leader.place.id === 1 ? 2 : 1;
  await cluster.node(stale).kill('SIGTERM');
  const node = startAs(stale, '0.0.9');
  const words = /runs version 0\.2\.0, which shares a group with 0\.1\.0 and later; node \d runs 0\.0\.9/u;
  await expect
    .poll(async () => (await status()).alarms.filter(({ code }) => code === 'peerRefused'), {
      timeout: 15_000,
    })
    .toEqual(
      expect.arrayContaining(
        [1, 2, 3].map(
          (id) =>
            expect.objectContaining({
              node_id: id,
              message: expect.stringMatching(words) as string,
            }) as object,
        ),
      ),
    );
  expect(node.log).toMatch(words);
  const metrics = await (await leader.http('/metrics')).text();
  expect(metrics).toMatch(/^pact_raft_callers_refused_total\{reason="version"\} [1-9]/mu);
  await load.goesOn();
  await node.kill('SIGTERM');
  await isReady(startAs(stale, '0.2.0'));
  await expect.poll(async () => (await status()).alarms, { timeout: 15_000 }).toEqual([]);
  expect((await load.stop()).failures).toEqual([]);
});
