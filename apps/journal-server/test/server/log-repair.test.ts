/** A member whose log is damaged, repaired from the members that run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initCerts } from '../../src/certs/init.ts';
import { failureLine, runHere } from '../cli/run-cli.ts';
import { logFiles } from '../support/log-files.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
let certs: string;

/** Members speak mutual TLS on their Raft ports. */
beforeAll(async () => {
  certs = mkdtempSync(join(tmpdir(), 'pact-repair-certs-'));
  await initCerts({ folder: certs, clusterId: 'repair', members: [1, 2, 3], hosts: [], nodes: [], days: 1 });
  cluster = await TestCluster.start({
    nodes: 3,
    flags: ['--cluster-id', 'repair', '--peer-ca', join(certs, 'peer-ca.pem')],
    env: (id) => ({
      PACT_JOURNAL_PEER_CERT: join(certs, `member-${id}/peer.pem`),
      PACT_JOURNAL_PEER_KEY: join(certs, `member-${id}/peer.key`),
    }),
  });
}, 60_000);

afterAll(async () => {
  await cluster.stop();
  rmSync(certs, { recursive: true });
});

/** The configuration of node 3, as its operator has it. */
function configFile(): string {
  const members = cluster.places.map(
    ({ id, raft, grpc }) => `[[cluster.members]]\nid = ${id}\nraft = "${raft}"\ngrpc = "${grpc}"\n`,
  );
  const path = join(certs, 'node-3.toml');
  const tls = `[peer]\ncert = "${certs}/member-3/peer.pem"\nkey = "${certs}/member-3/peer.key"\nca = "${certs}/peer-ca.pem"\n`;
  writeFileSync(path, `[node]\nid = 3\n[cluster]\nid = "repair"\n${tls}${members.join('')}`);
  return path;
}

async function commit(count: number, from: TestCluster): Promise<void> {
  const env = { PACT_ENDPOINT: from.running.map(({ place }) => place.grpc).join(',') };
  for (let n = 0; n < count; n++) {
    const kernel = [{ action: 'Add', key: 'vm.swappiness', value: String(n), previous: null }];
    const delta = { mounts: [], files: [], network: [], services: [], kernel, packages: [], gpu: [] };
    const file = join(from.places[0]?.dataDir ?? '', '..', 'delta.json');
    writeFileSync(file, JSON.stringify(delta));
    const args = ['commit', '--vcluster', 'ml', '--file', file, '-m', 'test'];
    expect(await runHere(args, { env })).toMatchObject({ code: 0 });
  }
}

test('a damaged entry in the middle comes back over the network, and the node goes on', async () => {
  await commit(4, cluster);
  const { place } = cluster.node(3);
  await cluster.node(3).kill('SIGTERM');
  const { folder, names } = logFiles(place.dataDir);
  const name = names[names.length - 3] ?? '';
  const bytes = readFileSync(join(folder, name));
  bytes[80] = (bytes[80] ?? 0) ^ 1;
  writeFileSync(join(folder, name), bytes);
  const failed = cluster.startNode(3);
  expect((await failed.exited).code).toBe(5);
  expect(failed.log).toContain(name);

  const anonymous = await runHere([
    'wal',
    'repair',
    place.dataDir,
    '--peer',
    `1=${cluster.node(1).place.raft}`,
  ]);
  expect(anonymous).toMatchObject({ code: 3, stdout: '' });
  expect(failureLine(anonymous)).toContain('no peer answers');
  const peers = ['--config', configFile()];
  const tried = await runHere(['wal', 'repair', place.dataDir, ...peers, '--dry-run', '--json']);
  expect(tried).toMatchObject({ code: 0, stderr: '' });
  const index = Number.parseInt(name, 10);
  expect(JSON.parse(tried.stdout)).toMatchObject({ dry_run: true, fetched: [{ from: index, to: index }] });
  expect(await runHere(['wal', 'repair', place.dataDir, ...peers])).toMatchObject({ code: 0, stderr: '' });
  expect(await runHere(['wal', 'verify', place.dataDir])).toMatchObject({ code: 0 });
  cluster.startNode(3);
  await cluster.leader();
  await commit(1, cluster);
}, 60_000);

test('a lost end comes back as far as a quorum confirms it to be committed', async () => {
  await commit(3, cluster);
  const { place } = cluster.node(3);
  await cluster.node(3).kill('SIGTERM');
  const { folder, names } = logFiles(place.dataDir);
  const { index } = JSON.parse(readFileSync(join(place.dataDir, 'raft', 'committed.json'), 'utf8')) as {
    readonly index: number;
  };
  // The file of the last entry that is on record as committed, and whatever came after it.
  const lost = names.filter(
    (_, at) => (at + 1 === names.length ? Infinity : Number.parseInt(names[at + 1] ?? '', 10)) > index,
  );
  for (const name of lost) rmSync(join(folder, name));
  await commit(2, cluster);
  expect((await cluster.startNode(3).exited).code).toBe(5);
  const peers = ['--config', configFile()];
  const repaired = await runHere(['wal', 'repair', place.dataDir, ...peers, '--json']);
  expect(repaired).toMatchObject({ code: 0, stderr: '' });
  const { fetched } = JSON.parse(repaired.stdout) as { fetched: { from: number; to: number }[] };
  expect(fetched).toHaveLength(1);
  expect(fetched[0]?.to).toBeGreaterThan(fetched[0]?.from ?? Infinity);
  cluster.startNode(3);
  await cluster.leader();
}, 60_000);

test('what is wrong with the arguments, or with the peers, is said', async () => {
  const { dataDir } = cluster.node(3).place;
  const both = await runHere(['wal', 'repair', dataDir]);
  expect(both).toMatchObject({ code: 2 });
  expect(failureLine(both)).toContain('--peer 2=10.0.0.2:9444');
  const shape = await runHere(['wal', 'repair', dataDir, '--peer', '127.0.0.1:9444']);
  expect(shape).toMatchObject({ code: 2 });
  expect(failureLine(shape)).toContain('node id');
  const running = await runHere(['wal', 'repair', dataDir, '--peer', '1=127.0.0.1:1']);
  expect(running).toMatchObject({ code: 4 });
  expect(failureLine(running)).toContain('stop that process');
});
