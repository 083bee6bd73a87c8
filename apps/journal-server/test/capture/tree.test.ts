/** Captures of a system below another root, laid out by the test. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DELTA_KINDS } from '@pact-journal/journal-state';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { captureHost } from '../../src/capture/index.ts';
import { parseGpus } from '../../src/capture/gpus.ts';
import { parseRpm } from '../../src/capture/packages.ts';
import { parseUnitFiles } from '../../src/capture/services.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pact-capture-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(path: string, content: string | Uint8Array = '', mode = 0o644): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
  chmodSync(full, mode);
  return full;
}

function sha256(content: string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

const user = process.getuid?.() ?? 0;
const group = process.getgid?.() ?? 0;

describe('files below /etc', () => {
  test('carry hash, mode with its special bits, and owner by name', async () => {
    put('etc/passwd', `pactuser:x:${String(user)}:${String(group)}::/:/bin/sh\n`);
    put('etc/group', `pactgroup:x:${String(group)}:\n`);
    put('etc/hosts', '127.0.0.1 localhost\n', 0o664);
    put('etc/cron.d/run', 'x', 0o4755);
    const { delta } = await captureHost({ root, include: ['files'] });
    const owner = 'pactuser:pactgroup';
    expect(delta.files.map((item) => item.key)).toEqual([
      '/etc/cron.d/run',
      '/etc/group',
      '/etc/hosts',
      '/etc/passwd',
    ]);
    expect(delta.files[0]).toEqual({
      action: 'Add',
      key: '/etc/cron.d/run',
      value: sha256('x'),
      previous: null,
      spec: { mode: 0o4755, owner },
    });
    expect(delta.files[2]).toEqual({
      action: 'Add',
      key: '/etc/hosts',
      value: sha256('127.0.0.1 localhost\n'),
      previous: null,
      spec: { mode: 0o664, owner },
    });
  });

  test.runIf(user === 0)('of an owner without a name keep the numbers', async () => {
    chownSync(put('etc/site.conf'), 54_321, 54_322);
    const { delta } = await captureHost({ root, include: ['files'] });
    expect(delta.files[0]?.spec).toEqual({ mode: 0o644, owner: '54321:54322' });
  });

  test('that carry secrets, are too large or are no regular files are left out and counted', async () => {
    put('etc/plain.conf', 'colour = blue\n');
    put('etc/shadow', 'root:*:19000::::::\n');
    put('etc/node.pem', `${'-'.repeat(5)}BEGIN PRIVATE KEY${'-'.repeat(5)}\n`);
    put('etc/large.db', 'y'.repeat(1001));
    put('etc/limit.db', 'y'.repeat(1000));
    symlinkSync('plain.conf', join(root, 'etc/link.conf'));
    execFileSync('mkfifo', [join(root, 'etc/pipe')]);
    put('home/outside.conf', 'x');
    const { delta, leftOut } = await captureHost({ root, include: ['files'], etcMaxBytes: 1000 });
    expect(delta.files.map((item) => item.key)).toEqual(['/etc/limit.db', '/etc/plain.conf']);
    expect(Object.fromEntries(leftOut.map(({ reason, count }) => [reason, count]))).toEqual({
      'secret by name': 1,
      'secret by content': 1,
      'larger than 1000 bytes': 1,
      'symbolic link': 1,
      'device, socket or pipe': 1,
    });
  });

  test('larger than a read are hashed whole and searched whole', async () => {
    const text = 'z'.repeat(300_000);
    put('etc/big.conf', text);
    put('etc/hidden.conf', `${text}\npassword = s3cr3t-Pa55\n${text}`);
    const { delta, leftOut } = await captureHost({ root, include: ['files'] });
    expect(delta.files).toEqual([expect.objectContaining({ key: '/etc/big.conf', value: sha256(text) })]);
    expect(leftOut).toEqual([{ kind: 'files', reason: 'secret by content', count: 1 }]);
  });

  test('whose name is not UTF-8 are counted, not mangled', async () => {
    mkdirSync(join(root, 'etc'));
    writeFileSync(Buffer.concat([Buffer.from(join(root, 'etc/')), Buffer.from([0xff, 0xfe])]), 'x');
    const { delta, leftOut } = await captureHost({ root, include: ['files'] });
    expect(delta.files).toEqual([]);
    expect(leftOut).toEqual([{ kind: 'files', reason: 'name is not UTF-8', count: 1 }]);
  });
});

describe('sysctls', () => {
  test('are named as sysctl(8) names them, without the newline at the end', async () => {
    put('proc/sys/vm/swappiness', '60\n');
    put('proc/sys/net/ipv4/ip_local_port_range', '32768\t60999\n');
    put('proc/sys/net/ipv4/conf/eth0.100/forwarding', '1\n');
    put('proc/sys/kernel/domainname', '\n');
    const { delta } = await captureHost({ root, include: ['kernel'] });
    expect(delta.kernel.map(({ key, value }) => [key, value])).toEqual([
      ['kernel.domainname', ''],
      ['net.ipv4.conf.eth0/100.forwarding', '1'],
      ['net.ipv4.ip_local_port_range', '32768\t60999'],
      ['vm.swappiness', '60'],
    ]);
  });

  test('that change by themselves, are secret or only trigger something are left out', async () => {
    put('proc/sys/kernel/random/uuid', 'd2f1\n');
    put('proc/sys/kernel/random/boot_id', 'd2f1\n');
    put('proc/sys/fs/file-nr', '1 2 3\n');
    put('proc/sys/fs/dentry-state', '1 2 3\n');
    put('proc/sys/net/ipv6/conf/all/stable_secret', '::1\n');
    put('proc/sys/net/ipv4/route/flush', '', 0o200);
    put('proc/sys/vm/stat_refresh', '', 0o600);
    put('proc/sys/fs/binfmt_misc/status', 'enabled\n');
    put('proc/sys/kernel/random/poolsize', '256\n');
    const { delta, leftOut } = await captureHost({ root, include: ['kernel'] });
    expect(delta.kernel.map((item) => item.key)).toEqual(['kernel.random.poolsize']);
    expect(Object.fromEntries(leftOut.map(({ reason, count }) => [reason, count]))).toEqual({
      volatile: 4,
      secret: 1,
    });
  });
});

describe('mounts', () => {
  test('stacked on one mount point: the topmost counts', async () => {
    put(
      'proc/self/mountinfo',
      '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /run rw - tmpfs below rw\n3 2 0:6 / /run rw - tmpfs above rw,size=1k\n',
    );
    const { delta } = await captureHost({ root, include: ['mounts'] });
    expect(delta.mounts.map(({ key, value, spec }) => [key, value, spec])).toEqual([
      ['/', '/dev/sda1', { fs_type: 'ext4', source: '/dev/sda1', options: 'rw', read_only: false }],
      ['/run', 'above', { fs_type: 'tmpfs', source: 'above', options: 'rw,size=1k', read_only: false }],
    ]);
  });

  test('without a readable mountinfo: none, and said so', async () => {
    const { delta, leftOut } = await captureHost({ root, include: ['mounts'] });
    expect(delta.mounts).toEqual([]);
    expect(leftOut).toEqual([{ kind: 'mounts', reason: 'no readable /proc/self/mountinfo', count: 1 }]);
  });
});

describe('services', () => {
  test('without systemd: executable init scripts, enabled where a boot runlevel starts them', async () => {
    put('etc/init.d/nginx', '#!/bin/sh\n', 0o755);
    put('etc/init.d/procps', '#!/bin/sh\n', 0o755);
    put('etc/init.d/idle', '#!/bin/sh\n', 0o755);
    put('etc/init.d/README', 'text', 0o644);
    for (const [level, link] of [
      ['rc3.d', 'S01nginx'],
      ['rcS.d', 'S02procps'],
      ['rc3.d', 'K01idle'],
      ['rc6.d', 'S01idle'],
    ] as const) {
      mkdirSync(join(root, 'etc', level), { recursive: true });
      symlinkSync(`../init.d/${link.slice(3)}`, join(root, 'etc', level, link));
    }
    const { delta } = await captureHost({ root, include: ['services'] });
    expect(delta.services.map(({ key, value }) => [key, value])).toEqual([
      ['idle', 'disabled'],
      ['nginx', 'enabled'],
      ['procps', 'enabled'],
    ]);
  });

  test('with systemd: unit files by state, without aliases and units made at run time', () => {
    let derived = 0;
    const text =
      'ssh.service enabled enabled\ndbus-x.service alias -\nfoo@.service static -\nrun-1.service transient -\ngetty@.service disabled enabled\n\n';
    const items = parseUnitFiles(text, () => (derived += 1));
    expect(items.map(({ key, value }) => [key, value])).toEqual([
      ['foo@.service', 'static'],
      ['getty@.service', 'disabled'],
      ['ssh.service', 'enabled'],
    ]);
    expect(derived).toBe(2);
  });

  test('systemd that does not answer leaves nothing, and says so', async () => {
    mkdirSync(join(root, 'run/systemd/system'), { recursive: true });
    const { delta, leftOut } = await captureHost({
      root,
      include: ['services'],
      run: () => Promise.resolve(undefined),
    });
    expect(delta.services).toEqual([]);
    expect(leftOut).toEqual([{ kind: 'services', reason: 'systemctl did not answer', count: 1 }]);
  });
});

describe('packages', () => {
  test.runIf(hasCommand('dpkg-query'))(
    'that dpkg has installed, and not those whose configuration is left',
    async () => {
      const stanza = (name: string, status: string, more = '') =>
        `Package: ${name}\nStatus: ${status}\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n${more}\n`;
      put(
        'var/lib/dpkg/status',
        stanza('alpha', 'install ok installed') + stanza('gone', 'deinstall ok config-files'),
      );
      mkdirSync(join(root, 'var/lib/dpkg/info'));
      mkdirSync(join(root, 'var/lib/dpkg/updates'));
      const { delta, leftOut } = await captureHost({ root, include: ['packages'] });
      expect(delta.packages).toEqual([{ action: 'Add', key: 'alpha', value: '1:2.0-1', previous: null }]);
      expect(leftOut).toEqual([
        { kind: 'packages', reason: 'not installed (removed, configuration left)', count: 1 },
      ]);
    },
  );

  test('of rpm: epoch where there is one, versions side by side, no signing keys', () => {
    const text =
      'kernel.x86_64\t0\t5.14.0-2\nkernel.x86_64\t0\t5.14.0-1\nbind.x86_64\t32\t9.16-1\ngpg-pubkey.(none)\t0\tfd431d51-4ae0493b\n';
    expect(parseRpm(text).map(({ key, value }) => [key, value])).toEqual([
      ['bind.x86_64', '32:9.16-1'],
      ['kernel.x86_64', '5.14.0-1,5.14.0-2'],
    ]);
  });
});

test('interfaces: mtu, state and address, and no files beside them', async () => {
  put('sys/class/net/ib0/mtu', '4092\n');
  put('sys/class/net/ib0/operstate', 'up\n');
  put('sys/class/net/ib0/address', '80:00:02:08\n');
  put('sys/class/net/tun0/mtu', '1400\n');
  put('sys/class/net/bonding_masters', 'bond0\n');
  const { delta } = await captureHost({ root, include: ['network'] });
  expect(delta.network.map(({ key, value }) => [key, value])).toEqual([
    ['ib0', 'mtu=4092 operstate=up address=80:00:02:08'],
    ['tun0', 'mtu=1400'],
  ]);
});

test('GPUs: one a line of nvidia-smi, by index', () => {
  const items = parseGpus(
    '0, NVIDIA A100-SXM4-80GB, 81920, 550.54.15\n1, NVIDIA A100-SXM4-80GB, 81920, 550.54.15\nNo devices were found\n',
  );
  expect(items.map(({ key, value }) => [key, value])).toEqual([
    ['0', 'name=NVIDIA A100-SXM4-80GB memory_mib=81920 driver=550.54.15'],
    ['1', 'name=NVIDIA A100-SXM4-80GB memory_mib=81920 driver=550.54.15'],
  ]);
});

test('an empty root gives all seven arrays, empty', async () => {
  const { delta } = await captureHost({ root });
  expect(Object.keys(delta)).toEqual([...DELTA_KINDS]);
  expect(Object.values(delta).flat()).toEqual([]);
});

function hasCommand(name: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
