/** What the parts of a capture share. */
import type { DeltaItem, DeltaKind, FileSpec, MountSpec } from '@pact-journal/journal-state';

/** Runs a host command and resolves to its stdout, or to undefined when it is missing, fails or takes too long. */
export type CommandRunner = (
  file: string,
  args: readonly string[],
  timeoutMs: number,
) => Promise<string | undefined>;

/** What a part of a capture reads from. */
export interface CaptureSource {
  /** Absolute path of the root to read below; `/` for this host. */
  readonly root: string;
  /** Files larger than this are left out, in bytes. */
  readonly etcMaxBytes: number;
  readonly run: CommandRunner;
  readonly leftOut: LeftOut;
}

/** Counts what a capture did not take, by kind and reason, so that nothing disappears silently. */
export class LeftOut {
  readonly #counts = new Map<string, { kind: DeltaKind; reason: string; count: number }>();

  add(kind: DeltaKind, reason: string): void {
    const key = `${kind}\n${reason}`;
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { kind, reason, count: 1 });
    else known.count += 1;
  }

  /** In the order of first occurrence. */
  list(): readonly { readonly kind: DeltaKind; readonly reason: string; readonly count: number }[] {
    return [...this.#counts.values()];
  }
}

/** An item as a capture makes it: what is there is added. */
export function added(key: string, value: string | null, spec?: MountSpec | FileSpec): DeltaItem {
  const item = { action: 'Add', key, value, previous: null } as const;
  return spec === undefined ? item : { ...item, spec };
}

/** Orders items by key (code units) and keeps the last of several with the same key. */
export function sortedByKey(items: Iterable<DeltaItem>): readonly DeltaItem[] {
  const byKey = new Map<string, DeltaItem>();
  for (const item of items) byKey.set(item.key, item);
  return [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** True for the errors that mean "not for us to read", as opposed to a broken disk. */
export function isAbsentOrForbidden(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && EXPECTED.has(code);
}

const EXPECTED: ReadonlySet<string> = new Set([
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'EINVAL',
  'EIO',
  'ENODEV',
  'ENXIO',
  'EOPNOTSUPP',
  'ENOTSUP',
  'ELOOP',
  'EISDIR',
]);
