/** Services and whether they are started at boot: systemd's unit files, or init scripts where systemd does not run. */
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DeltaItem } from '@pact-journal/journal-state';
import { added, isAbsentOrForbidden, sortedByKey, type CaptureSource } from './types.ts';

const TIMEOUT_MS = 20_000;

/** States of unit files that are no declaration of their own: other names of a unit, and units made at run time. */
const DERIVED: ReadonlySet<string> = new Set([
  'alias',
  'transient',
  'generated',
  'linked-runtime',
  'enabled-runtime',
]);

export async function captureServices(source: CaptureSource): Promise<readonly DeltaItem[]> {
  // sd_booted(3): this directory exists exactly while systemd is the init system.
  if (!existsSync(join(source.root, 'run/systemd/system'))) return captureInitScripts(source);
  const args = ['list-unit-files', '--type=service', '--no-legend', '--no-pager', '--full'];
  const where = source.root === '/' ? [] : [`--root=${source.root}`];
  const text = await source.run('systemctl', [...where, ...args], TIMEOUT_MS);
  if (text === undefined) {
    source.leftOut.add('services', 'systemctl did not answer');
    return [];
  }
  return parseUnitFiles(text, () => {
    source.leftOut.add('services', 'aliases and units made at run time');
  });
}

/** Parses `systemctl list-unit-files`: unit, state, and on newer versions the preset. */
export function parseUnitFiles(text: string, onDerived: () => void): readonly DeltaItem[] {
  const items: DeltaItem[] = [];
  for (const line of text.split('\n')) {
    const [unit = '', state] = line.trim().split(/\s+/u);
    if (state === undefined) continue;
    if (DERIVED.has(state)) onDerived();
    else items.push(added(unit, state));
  }
  return sortedByKey(items);
}

/** Runlevels that a machine boots into, and the one that it goes through on the way. */
const BOOT_LEVELS = ['rcS.d', 'rc2.d', 'rc3.d', 'rc4.d', 'rc5.d'] as const;

/** Executable scripts in /etc/init.d; one with a start link in a boot runlevel (`S01name`) is enabled. */
function captureInitScripts(source: CaptureSource): readonly DeltaItem[] {
  const started = new Set<string>();
  for (const level of BOOT_LEVELS) {
    for (const link of list(join(source.root, 'etc', level))) {
      const name = /^S\d\d(?<name>.+)$/u.exec(link)?.groups?.['name'];
      if (name !== undefined) started.add(name);
    }
  }
  const folder = join(source.root, 'etc/init.d');
  const scripts = list(folder).filter((name) => isScript(join(folder, name)));
  return sortedByKey(scripts.map((name) => added(name, started.has(name) ? 'enabled' : 'disabled')));
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isAbsentOrForbidden(error)) return [];
    throw error;
  }
}

function isScript(path: string): boolean {
  const info = lstatSync(path, { throwIfNoEntry: false });
  return info !== undefined && (info.isSymbolicLink() || (info.isFile() && (info.mode & 0o111) !== 0));
}
