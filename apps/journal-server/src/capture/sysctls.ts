/** Kernel parameters from /proc/sys (proc(5), sysctl(8)). */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeltaItem } from '@pact-journal/journal-state';
import { added, isAbsentOrForbidden, sortedByKey, type CaptureSource } from './types.ts';

/** Counters, identifiers and statistics: they change by themselves, so they are no configuration. */
const VOLATILE: readonly RegExp[] = [
  /^fs\.(?:dentry-state|inode-state|inode-nr|file-nr|aio-nr)$/u,
  /^fs\.quota\./u,
  /^kernel\.(?:ns_last_pid|pty\.nr|tainted|perf_event_max_sample_rate|hung_task_detect_count)$/u,
  /^kernel\.random\.(?:uuid|boot_id|entropy_avail)$/u,
  /^net\.(?:netfilter\.)?nf_conntrack_count$/u,
  /^sunrpc\.transports$/u,
];

/** Keys and seeds: knowing them helps an attacker. */
const SECRET: readonly RegExp[] = [
  /(?:^|\.)stable_secret$/u,
  /(?:^|\.)tcp_fastopen_key$/u,
  /(?:^|\.)netdev_rss_key$/u,
];

/** Directories of /proc/sys that are file systems or automount points of their own. */
const FOREIGN: ReadonlySet<string> = new Set(['fs/binfmt_misc']);

/** Reading these has an effect. */
const ACTIONS: ReadonlySet<string> = new Set(['vm.stat_refresh']);

/** Every readable, lasting and harmless parameter, named as sysctl(8) names it: dots between, a dot within as slash. */
export function captureSysctls(source: CaptureSource): readonly DeltaItem[] {
  const top = join(source.root, 'proc/sys');
  const items: DeltaItem[] = [];
  walk(top, [], (path, parts) => {
    const key = parts.map((part) => part.replaceAll('.', '/')).join('.');
    if (ACTIONS.has(key)) return;
    if (VOLATILE.some((pattern) => pattern.test(key))) return void source.leftOut.add('kernel', 'volatile');
    if (SECRET.some((pattern) => pattern.test(key))) return void source.leftOut.add('kernel', 'secret');
    const value = readParameter(path);
    if (value === undefined) source.leftOut.add('kernel', 'unreadable');
    else items.push(added(key, value));
  });
  return sortedByKey(items);
}

function walk(
  folder: string,
  parts: readonly string[],
  visit: (path: string, parts: readonly string[]) => void,
): void {
  for (const entry of readFolder(folder)) {
    const path = join(folder, entry.name);
    const below = [...parts, entry.name];
    if (entry.isDirectory()) {
      if (!FOREIGN.has(below.join('/'))) walk(path, below, visit);
    } else if (entry.isFile() && isReadable(path)) {
      visit(path, below);
    }
  }
}

function readFolder(folder: string): ReturnType<typeof readFolderEntries> {
  try {
    return readFolderEntries(folder);
  } catch (error) {
    if (isAbsentOrForbidden(error)) return [];
    throw error;
  }
}

function readFolderEntries(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}

/** Write-only parameters are triggers (`net.ipv4.route.flush`), not state; root could open even those. */
function isReadable(path: string): boolean {
  try {
    return (lstatSync(path).mode & 0o444) !== 0;
  } catch (error) {
    if (isAbsentOrForbidden(error)) return false;
    throw error;
  }
}

function readParameter(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replace(/\n$/u, '').replaceAll('\0', '');
  } catch (error) {
    if (isAbsentOrForbidden(error)) return undefined;
    throw error;
  }
}
