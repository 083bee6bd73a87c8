/** Network interfaces from /sys/class/net (sysfs-class-net in the kernel's ABI documentation). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DeltaItem } from '@pact-journal/journal-state';
import { added, isAbsentOrForbidden, sortedByKey, type CaptureSource } from './types.ts';

/** Attributes in the order in which they make up an interface's detail: `mtu=1500 operstate=up address=...`. */
const ATTRIBUTES = ['mtu', 'operstate', 'address'] as const;

export function captureInterfaces(source: CaptureSource): readonly DeltaItem[] {
  const folder = join(source.root, 'sys/class/net');
  const items: DeltaItem[] = [];
  for (const name of list(folder)) {
    const path = join(folder, name);
    // Files beside the interfaces (bonding_masters) are no interfaces.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) continue;
    const detail = ATTRIBUTES.flatMap((attribute) => {
      const value = readAttribute(join(path, attribute));
      return value === undefined || value === '' ? [] : [`${attribute}=${value}`];
    });
    items.push(added(name, detail.join(' ')));
  }
  return sortedByKey(items);
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isAbsentOrForbidden(error)) return [];
    throw error;
  }
}

function readAttribute(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (isAbsentOrForbidden(error)) return undefined;
    throw error;
  }
}
