/** Installed packages, from dpkg-query(1) or rpm(8). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DeltaItem } from '@pact-journal/journal-state';
import { added, sortedByKey, type CaptureSource } from './types.ts';

const TIMEOUT_MS = 60_000;

export async function capturePackages(source: CaptureSource): Promise<readonly DeltaItem[]> {
  if (existsSync(join(source.root, 'var/lib/dpkg/status'))) return captureDpkg(source);
  if (RPM_DATABASES.some((path) => existsSync(join(source.root, path)))) return captureRpm(source);
  source.leftOut.add('packages', 'neither a dpkg nor an rpm database');
  return [];
}

/** Where rpm keeps its database, old and new. */
const RPM_DATABASES = ['var/lib/rpm', 'usr/lib/sysimage/rpm'] as const;

async function captureDpkg(source: CaptureSource): Promise<readonly DeltaItem[]> {
  const admin = `--admindir=${join(source.root, 'var/lib/dpkg')}`;
  const format = '${binary:Package}\\t${Version}\\t${db:Status-Status}\\n';
  const text = await source.run('dpkg-query', [admin, '-W', '-f', format], TIMEOUT_MS);
  if (text === undefined) {
    source.leftOut.add('packages', 'dpkg-query did not answer');
    return [];
  }
  const items: DeltaItem[] = [];
  for (const line of text.split('\n')) {
    const [name = '', version = '', status] = line.split('\t');
    if (status === 'installed') items.push(added(name, version));
    else if (name !== '') source.leftOut.add('packages', 'not installed (removed, configuration left)');
  }
  return sortedByKey(items);
}

async function captureRpm(source: CaptureSource): Promise<readonly DeltaItem[]> {
  const format = '%{NAME}.%{ARCH}\\t%{EPOCHNUM}\\t%{VERSION}-%{RELEASE}\\n';
  const text = await source.run('rpm', ['--root', source.root, '-qa', '--qf', format], TIMEOUT_MS);
  if (text === undefined) {
    source.leftOut.add('packages', 'rpm did not answer');
    return [];
  }
  return parseRpm(text);
}

/** Several versions of one package may be installed side by side (kernels): they make one value, comma-separated. */
export function parseRpm(text: string): readonly DeltaItem[] {
  const versions = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [name = '', epoch, version] = line.split('\t');
    // Imported signing keys are listed as packages without an architecture.
    if (version === undefined || name.startsWith('gpg-pubkey.')) continue;
    const full = epoch === '0' || epoch === undefined ? version : `${epoch}:${version}`;
    versions.set(name, [...(versions.get(name) ?? []), full]);
  }
  return sortedByKey([...versions].map(([name, all]) => added(name, all.sort().join(','))));
}
