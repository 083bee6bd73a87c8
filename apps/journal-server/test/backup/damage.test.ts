/** Whatever changes in a backup is found, and a damaged backup is not restored. */
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { JournalClient } from '@pact-journal/journal-client';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Repository } from '../../src/backup/format/repository.ts';
import { openStore } from '../../src/backup/store/open-store.ts';
import { verifyBackup } from '../../src/backup/verify.ts';
import { failureLine, runHere } from '../cli/run-cli.ts';
import { killAllNodes, TestCluster } from '../support/test-cluster.ts';

const directory = mkdtempSync(join(tmpdir(), 'pact-damage-'));
const sound = join(directory, 'sound');
let head = '';

/** A backup with two snapshots, sealed pieces, an overlay and several log objects. */
beforeAll(async () => {
  mkdirSync(sound);
  const cluster = await TestCluster.start({
    nodes: 1,
    flags: ['--backup-url', `file://${sound}`, '--backup-interval', '20ms'],
  });
  const journal = new JournalClient({ endpoints: cluster.places.map(({ grpc }) => grpc) });
  const settled = (): Promise<void> =>
    vi.waitFor(async () => expect(await journal.backupStatus()).toMatchObject({ lag_entries: 0 }), {
      timeout: 20_000,
    });
  try {
    await settled();
    for (let round = 0; round < 6; round += 1) {
      await journal.append(aCommit(vcluster('ml'), { kernel: { 'vm.swappiness': String(round) } }));
      await journal.overlayInfo('ml');
      await settled();
      if (round === 2) await journal.createBackup();
    }
    head = (await journal.digest()).head_hash;
  } finally {
    journal.close();
    await cluster.stop();
  }
}, 60_000);

afterAll(async () => {
  await killAllNodes();
  rmSync(directory, { recursive: true });
});

function objects(): readonly string[] {
  return readdirSync(sound, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => relative(sound, join(item.parentPath, item.name)))
    .toSorted();
}

/** Changes one object of a copy for the time of `use`. */
async function withChanged(
  key: string,
  change: (bytes: Buffer) => Buffer | undefined,
  use: (copy: string) => Promise<void>,
): Promise<void> {
  const copy = mkdtempSync(join(directory, 'copy-'));
  cpSync(sound, copy, { recursive: true });
  const changed = change(readFileSync(join(sound, key)));
  if (changed === undefined) unlinkSync(join(copy, key));
  else writeFileSync(join(copy, key), changed);
  try {
    await use(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function findings(
  copy: string,
): Promise<readonly { readonly key: string; readonly message: string }[]> {
  const store = await openStore(copy);
  return (await verifyBackup(new Repository(store))).findings;
}

test('a sound backup is found whole, down to its newest entry', async () => {
  expect(objects().length).toBeGreaterThan(10);
  const result = await runHere(['backup', 'verify', sound, '--expect', head, '--json']);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(result.stdout)).toMatchObject({ ok: true, head_hash: head, entries: 6, expected_at: 5 });
});

test('words, JSON and exit status agree where the expected hash is that of no entry', async () => {
  const args = ['verify', sound, '--expect', `sha256:${'0'.repeat(64)}`];
  const inWords = await runHere(args);
  expect(inWords).toMatchObject({ code: 5 });
  expect(inWords.stdout).toContain('not the journal that is expected');
  expect(inWords.stdout).not.toContain('whole');
  expect(failureLine(inWords)).toContain('no entry has the expected hash');
  const asJson = await runHere([...args, '--json']);
  expect(asJson).toMatchObject({ code: 5 });
  expect(JSON.parse(asJson.stdout)).toMatchObject({ ok: false, findings: [], expected_at: null });
});

test('any single byte that is changed, in any object, is found by verify and refused by restore', async () => {
  let restored = 0;
  const change = async (key: string, at: number, xor: number): Promise<void> => {
    const flip = (bytes: Buffer): Buffer => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ xor;
      return changed;
    };
    await withChanged(key, flip, async (copy) => {
      expect((await findings(copy)).map((finding) => finding.key)).toContain(key);
      restored += 1;
      const target = join(directory, `restored-${String(restored)}`);
      const refused = await runHere(['restore', '--from', copy, '--data-dir', target]);
      expect(refused).toMatchObject({ code: 5, stdout: '' });
      expect(failureLine(refused)).toContain(key);
      expect(readdirSync(directory)).not.toContain(`restored-${String(restored)}`);
    });
  };
  const places = objects().map((key) => ({ key, sizeBytes: statSync(join(sound, key)).size }));
  // Every object once at least, then wherever chance leads.
  for (const { key, sizeBytes } of places) await change(key, Math.floor(sizeBytes / 2), 1);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...places),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (place, at, xor) => change(place.key, at % place.sizeBytes, xor),
    ),
    { numRuns: 40 },
  );
}, 120_000);

test('an object that is missing, cut short, longer, or another one of its kind is found', async () => {
  for (const key of objects()) {
    const [folder] = key.split('/');
    // Nothing refers to the announcements of writers, and the newest log object is where a backup may simply end.
    const mayBeMissing =
      folder === 'writers' || key === objects().findLast((other) => other.startsWith('log/'));
    if (!mayBeMissing)
      await withChanged(
        key,
        () => undefined,
        async (copy) => {
          if (key === 'backup.json') await expect(findings(copy)).rejects.toThrow('no backup here');
          else if (folder !== 'snapshots') expect(await findings(copy)).not.toEqual([]);
        },
      );
    await withChanged(
      key,
      (bytes) => bytes.subarray(0, -1),
      async (copy) => {
        expect(await findings(copy)).not.toEqual([]);
      },
    );
    await withChanged(
      key,
      (bytes) => Buffer.concat([bytes, Buffer.from('\n')]),
      async (copy) => {
        expect(await findings(copy)).not.toEqual([]);
      },
    );
  }
  const log = objects().filter((key) => key.startsWith('log/'));
  await withChanged(
    log[0] ?? '',
    () => readFileSync(join(sound, log[1] ?? '')),
    async (copy) => {
      expect((await findings(copy)).map(({ key }) => key)).toContain(log[0]);
    },
  );
}, 120_000);

test('a restore that needs nothing of what is damaged is possible where that is asked for', async () => {
  const [oldest] = objects().filter((key) => key.startsWith('writers/'));
  await withChanged(
    oldest ?? '',
    () => Buffer.from('{}\n'),
    async (copy) => {
      const target = join(directory, 'only-needed');
      const result = await runHere([
        'restore',
        '--from',
        copy,
        '--data-dir',
        target,
        '--only-needed',
        '--json',
      ]);
      expect(result).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(result.stdout)).toMatchObject({ restored: true, entries: 6, head_hash: head });
    },
  );
});

test('a restore says no in words and leaves nothing behind', async () => {
  const full = join(directory, 'full');
  mkdirSync(full);
  copyFileSync(join(sound, 'backup.json'), join(full, 'somebody-elses'));
  const link = join(directory, 'link');
  symlinkSync(full, link);
  const attempt = (...args: string[]) => runHere(['restore', '--from', sound, ...args]);
  const target = join(directory, 'refused');
  const cases: readonly (readonly [readonly string[], number, string])[] = [
    [['--data-dir', full], 4, 'not empty'],
    [['--data-dir', join(full, 'somebody-elses')], 4, 'it is no directory'],
    [['--data-dir', join(full, 'somebody-elses', 'below')], 4, 'no directory (ENOTDIR)'],
    [['--data-dir', link], 4, 'it is a link'],
    [['--data-dir', '/proc'], 4, 'it is a mount point'],
    [['--data-dir', target, '--to-sequence', '6'], 4, 'the last one is 5'],
    [['--data-dir', target, '--to-time', '1999-01-01T00:00:00Z'], 0, ''],
    [['--data-dir', target, '--to-time', 'yesterday'], 2, 'is not a time'],
    [['--data-dir', target, '--to-time', '2026-02-30T00:00:00Z'], 2, 'is not a time'],
    [['--data-dir', target, '--to-time', '2026-11-24T08:00:00'], 2, 'with its zone'],
    [['--data-dir', target, '--from-cluster', 'other'], 4, 'backup of cluster pact, not other'],
    [['--data-dir', target, '--same-cluster-id', '--cluster-id', 'other'], 4, '--same-cluster-id'],
    [['--data-dir', target, '--same-cluster-id', '--as-new-cluster'], 2, 'cannot be used with'],
  ];
  for (const [args, code, words] of cases) {
    const result = await attempt(...args);
    expect(result.code, `${args.join(' ')}: ${result.stderr}`).toBe(code);
    if (code !== 0) expect(failureLine(result)).toContain(words);
    rmSync(target, { recursive: true, force: true });
  }
  const nowhere = await runHere(['restore', '--from', dirname(full), '--data-dir', target]);
  expect(nowhere.code).toBe(4);
  expect(readdirSync(directory).filter((name) => name.includes('restoring'))).toEqual([]);
});

test('a place that this user may not write to is refused in words before anything is fetched', async () => {
  const closed = join(directory, 'closed');
  mkdirSync(closed, { mode: 0o500 });
  const { geteuid, seteuid } = process;
  const isRoot = geteuid?.() === 0;
  for (const dry of [[], ['--dry-run']]) {
    // Root may write everywhere, so it is somebody else for the time of the attempt.
    if (isRoot) seteuid?.(65_534);
    const result = await runHere([
      'restore',
      '--from',
      sound,
      '--data-dir',
      join(closed, 'x'),
      ...dry,
    ]).finally(() => {
      if (isRoot) seteuid?.(0);
    });
    expect(result).toMatchObject({ code: 4, stdout: '' });
    expect(failureLine(result)).toContain('no permission (EACCES)');
  }
});

test('a time after the end of the backup is said to be one', async () => {
  const target = join(directory, 'later');
  const args = ['restore', '--from', sound, '--data-dir', target, '--to-time', '2999-01-01T00:00:00Z'];
  for (const dry of [['--dry-run'], []]) {
    const result = await runHere([...args, ...dry, '--json']);
    const { warnings } = JSON.parse(result.stdout) as { readonly warnings: readonly string[] };
    expect(result.code).toBe(0);
    expect(warnings).toEqual([expect.stringMatching(/does not reach 2999-.*sequence 5 of 20/u)]);
    expect(result.stderr).toBe(`warning: ${String(warnings[0])}\n`);
  }
  // Nobody else reads what was restored.
  expect(statSync(target).mode & 0o777).toBe(0o700);
});

test('--dry-run reads all that a restore reads, says what that would give, and leaves nothing behind', async () => {
  const target = join(directory, 'dry');
  const args = ['restore', '--from', sound, '--data-dir', target, '--to-sequence', '4'];
  const result = await runHere([...args, '--dry-run', '--json']);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const { would_restore: promised, ...plan } = JSON.parse(result.stdout) as Record<string, unknown>;
  expect(plan).toMatchObject({
    restored: false,
    cluster_id: null,
    source_cluster_id: 'pact',
    reach: { entries: 6, head_hash: head },
  });
  expect(plan['read_bytes']).toBeGreaterThan(Number(plan['size_bytes']));
  expect((await runHere([...args, '--dry-run'])).stdout).toContain('sequence 4');
  expect(readdirSync(directory).filter((name) => name.startsWith('dry'))).toEqual([]);
  const done = await runHere([...args, '--json']);
  expect(JSON.parse(done.stdout)).toMatchObject({ restored: true, ...(promised as object) });
});

test('--dry-run refuses what a restore refuses, and with the same words', async () => {
  const both = async (copy: string, ...args: string[]): Promise<void> => {
    const target = join(directory, 'neither');
    const restore = ['restore', '--from', copy, '--data-dir', target, ...args];
    const [dry, real] = [await runHere([...restore, '--dry-run']), await runHere(restore)];
    expect(dry, args.join(' ')).toMatchObject({ code: 5, stdout: '' });
    expect(failureLine(dry)).toBe(failureLine(real));
    expect(readdirSync(directory).filter((name) => name.startsWith('neither'))).toEqual([]);
  };
  const flip = (bytes: Buffer): Buffer => {
    const changed = Buffer.from(bytes);
    const middle = Math.floor(bytes.length / 2);
    changed[middle] = (changed[middle] ?? 0) ^ 1;
    return changed;
  };
  const log = objects().filter((key) => key.startsWith('log/'));
  const middle = log[Math.floor(log.length / 2)] ?? '';
  const [oldest] = await new Repository(await openStore(sound)).snapshots();
  const { manifest } = await new Repository(await openStore(sound)).snapshot(oldest?.key ?? '');
  // The point asked for makes the oldest snapshot and all of the log necessary.
  const needed = ['--only-needed', '--to-sequence', '2'];
  await withChanged(middle, flip, (copy) => both(copy));
  await withChanged(
    middle,
    () => undefined,
    (copy) => both(copy),
  );
  await withChanged(`chunks/${manifest.sha256}`, flip, (copy) => both(copy, ...needed));
  await withChanged(log[1] ?? '', flip, (copy) => both(copy, ...needed));
  await withChanged(
    log[1] ?? '',
    () => undefined,
    (copy) => both(copy, ...needed),
  );
});

test('each sequence can be restored, as a cluster of its own', async () => {
  const ids = new Set<string>();
  for (let sequence = 0; sequence < 6; sequence += 1) {
    const target = join(directory, `sequence-${String(sequence)}`);
    const args = [
      'restore',
      '--from',
      sound,
      '--data-dir',
      target,
      '--to-sequence',
      String(sequence),
      '--json',
    ];
    const result = await runHere(args);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(result.stdout) as { readonly cluster_id: string; readonly head_hash: string };
    expect(report).toMatchObject({ entries: sequence + 1, source_cluster_id: 'pact' });
    ids.add(report.cluster_id);
    const verified = await runHere(['verify', target, '--expect', report.head_hash, '--json']);
    expect(JSON.parse(verified.stdout)).toMatchObject({
      ok: true,
      entries: sequence + 1,
      expected_at: sequence,
    });
    expect((await runHere(['verify', target, '--expect', `sha256:${'0'.repeat(64)}`])).code).toBe(5);
  }
  expect(ids.size).toBe(6);
  expect(ids).not.toContain('pact');
});

test('what an interrupted restore has left is made anew, and what somebody else put there is left alone', async () => {
  const target = join(directory, 'again');
  const staging = `${target}.restoring`;
  mkdirSync(join(staging, 'raft'), { recursive: true });
  const foreign = await runHere(['restore', '--from', sound, '--data-dir', target]);
  expect(foreign.code).toBe(4);
  expect(failureLine(foreign)).toContain(staging);
  expect(readdirSync(staging)).toEqual(['raft']);
  writeFileSync(join(staging, 'restoring.json'), '{}\n');
  const again = await runHere(['restore', '--from', sound, '--data-dir', target, '--json']);
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(readdirSync(target)).toEqual(['raft']);
  expect(readdirSync(directory)).not.toContain('again.restoring');
});

test('a person sees a bar with rate and time left; a program that reads along sees nothing of it', async () => {
  const target = join(directory, 'watched');
  const args = ['restore', '--from', sound, '--data-dir', target].map((arg) => `'${arg}'`).join(' ');
  const main = join(import.meta.dirname, '../../src/cli/main.ts');
  const command = `'${process.execPath}' --conditions=@pact-journal/source '${main}' ${args}`;
  const { stdout } = await promisify(execFile)('script', ['-qec', command, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm' },
  });
  expect(stdout).toMatch(/restored [\d.]+ \w*B of [\d.]+ \w*B, .*\/s, .+ left/u);
  expect(stdout).toContain('head hash');
});
