/** Mounts from /proc/self/mountinfo (proc_pid_mountinfo(5)). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeltaItem, MountSpec } from '@pact-journal/journal-state';
import { added, isAbsentOrForbidden, sortedByKey, type CaptureSource } from './types.ts';

export interface Mount {
  readonly path: string;
  readonly spec: MountSpec;
}

/** What is mounted, by mount point; where mounts are stacked on one another, the topmost. */
export function captureMounts(source: CaptureSource): readonly DeltaItem[] {
  let text: string;
  try {
    text = readFileSync(join(source.root, 'proc/self/mountinfo'), 'utf8');
  } catch (error) {
    if (!isAbsentOrForbidden(error)) throw error;
    source.leftOut.add('mounts', 'no readable /proc/self/mountinfo');
    return [];
  }
  const items: DeltaItem[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const mount = parseMountInfoLine(line);
    if (mount === undefined) source.leftOut.add('mounts', 'line not understood');
    else items.push(added(mount.path, mount.spec.source, mount.spec));
  }
  return sortedByKey(items);
}

/**
 * Parses one line: `id parent major:minor root mount-point options [tags...] - type source super-options`.
 * The options are the mount's own followed by those of its file system that it does not repeat; mounted read-only
 * means that either says `ro`.
 */
export function parseMountInfoLine(line: string): Mount | undefined {
  const separator = line.indexOf(' - ');
  if (separator < 0) return undefined;
  const [, , , , path, mountOptions] = line.slice(0, separator).split(' ');
  const [fsType, mountSource, superOptions = ''] = line.slice(separator + 3).split(' ');
  if (path === undefined || mountOptions === undefined || fsType === undefined || mountSource === undefined) {
    return undefined;
  }
  const own = mountOptions.split(',');
  const readOnly = own.includes('ro') || superOptions.split(',').includes('ro');
  const options = [...own, ...superOptions.split(',')].filter(
    (option) => option !== '' && option !== 'ro' && option !== 'rw',
  );
  return {
    path: unescapeOctal(path),
    spec: {
      fs_type: unescapeOctal(fsType),
      source: unescapeOctal(mountSource),
      options: [readOnly ? 'ro' : 'rw', ...new Set(options)].map(unescapeOctal).join(','),
      read_only: readOnly,
    },
  };
}

/** The kernel writes space, tab, newline, backslash and # as `\` and three octal digits of a byte. */
export function unescapeOctal(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes: number[] = [];
  const raw = Buffer.from(text, 'utf8');
  for (let at = 0; at < raw.length; at += 1) {
    const digits = raw[at] === 0x5c ? /^[0-3][0-7]{2}/u.exec(raw.toString('latin1', at + 1, at + 4)) : null;
    if (digits === null) {
      bytes.push(raw[at] ?? 0);
    } else {
      bytes.push(Number.parseInt(digits[0], 8));
      at += 3;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}
