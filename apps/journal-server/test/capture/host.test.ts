/** Captures of the machine that runs the tests, held against what the machine's own tools say. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type DeltaItem, DELTA_KINDS } from '@pact-journal/journal-state';
import { beforeAll, describe, expect, test } from 'vitest';
import { captureHost, type Capture } from '../../src/capture/index.ts';

let capture: Capture;

beforeAll(async () => {
  capture = await captureHost();
});

function tool(file: string, ...args: string[]): string {
  return execFileSync(file, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, LC_ALL: 'C' },
  });
}

function hasTool(name: string): boolean {
  try {
    tool('sh', '-c', `command -v ${name}`);
    return true;
  } catch {
    return false;
  }
}

/** At most `count` items, spread evenly. */
function sample(items: readonly DeltaItem[], count: number): readonly DeltaItem[] {
  const step = Math.max(1, Math.floor(items.length / count));
  return items.filter((_item, at) => at % step === 0);
}

test('every item is an addition, sorted by key, each key once', () => {
  for (const kind of DELTA_KINDS) {
    const keys = capture.delta[kind].map((item) => item.key);
    expect(keys, kind).toEqual([...new Set(keys)].sort());
    expect(
      capture.delta[kind].every((item) => item.action === 'Add' && item.previous === null),
      kind,
    ).toBe(true);
  }
});

test('even a small machine has hundreds of items, an ordinary one thousands', () => {
  const total = DELTA_KINDS.reduce((sum, kind) => sum + capture.delta[kind].length, 0);
  expect(total).toBeGreaterThan(500);
});

test('files: hash, mode and owner are those that sha256sum and stat print', () => {
  expect(capture.delta.files.length).toBeGreaterThan(50);
  for (const item of sample(capture.delta.files, 25)) {
    const [hash] = tool('sha256sum', '-b', '--zero', item.key).split(' ');
    const [mode, owner] = tool('stat', '-c', '%a %U:%G', item.key).trim().split(' ');
    expect(item.value).toBe(`sha256:${hash ?? ''}`);
    expect(item.spec).toEqual({
      mode: Number.parseInt(mode ?? '', 8),
      owner: owner?.replaceAll('UNKNOWN', 'x'),
    });
  }
});

test('nothing secret is among the files', () => {
  const keys = new Set(capture.delta.files.map((item) => item.key));
  expect([...keys].filter((key) => /shadow|opasswd|_key$/u.test(key))).toEqual([]);
  for (const key of keys)
    expect(readFileSync(key, 'latin1')).not.toMatch(/-----BEGIN [A-Z ]*PRIVATE KEY-----/u);
});

test('sysctls: values are those in /proc/sys, and none changes within a second capture', async () => {
  const again = await captureHost({ include: ['kernel'] });
  expect(again.delta.kernel).toEqual(capture.delta.kernel);
  const byKey = new Map(capture.delta.kernel.map((item) => [item.key, item.value]));
  expect(byKey.get('vm.swappiness')).toBe(readFileSync('/proc/sys/vm/swappiness', 'utf8').trim());
  expect(byKey.get('kernel.osrelease')).toBe(tool('uname', '-r').trim());
  expect(byKey.size).toBeGreaterThan(300);
});

describe.runIf(hasTool('findmnt'))('mounts', () => {
  test('the root is what findmnt says it is', () => {
    const [fsType, source, options] = tool('findmnt', '-rn', '-o', 'FSTYPE,SOURCE,OPTIONS', '/')
      .trim()
      .split(' ');
    const root = capture.delta.mounts.find((item) => item.key === '/');
    expect(root?.spec).toMatchObject({ fs_type: fsType, source });
    const captured = root?.spec !== undefined && 'options' in root.spec ? root.spec.options.split(',') : [];
    expect(captured.sort()).toEqual(options?.split(',').sort());
  });
});

test.runIf(hasTool('dpkg-query'))(
  'packages: those that dpkg-query lists as installed, with their versions',
  () => {
    const lines = tool('dpkg-query', '-W', '-f', '${db:Status-Abbrev} ${binary:Package} ${Version}\n').split(
      '\n',
    );
    const installed = lines
      .filter((line) => line.startsWith('ii'))
      .map((line) => line.split(/\s+/u).slice(1));
    expect(capture.delta.packages.map(({ key, value }) => [key, value]).sort()).toEqual(installed.sort());
  },
);

test('interfaces: those in /sys/class/net, with their mtu', () => {
  const names = readdirSync('/sys/class/net', { withFileTypes: true }).filter((entry) => !entry.isFile());
  expect(capture.delta.network.map((item) => item.key)).toEqual(names.map((entry) => entry.name).sort());
  const loopback = capture.delta.network.find((item) => item.key === 'lo');
  expect(loopback?.value).toContain(`mtu=${readFileSync('/sys/class/net/lo/mtu', 'utf8').trim()}`);
});
