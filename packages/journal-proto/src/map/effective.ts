import type { DeltaItem, DeltaKind, EntrySeq, Identity, Timestamp } from '@pact-journal/journal-state';
import type { EffectiveItem as WireEffectiveItem } from '../gen/pact/journal_admin.ts';
import { deltaKindFromWire } from './delta.ts';
import { nonEmpty, present } from './errors.ts';
import { identityFromWire, identityToWire } from './scope.ts';
import { timestampFromWire, timestampToWire } from './time.ts';

/** A key in effect, with the entry that set it: what `blame` shows. */
export interface BlamedItem {
  readonly kind: DeltaKind;
  readonly key: string;
  readonly value: string | null;
  readonly spec?: NonNullable<DeltaItem['spec']>;
  readonly set_by: EntrySeq;
  readonly set_at: Timestamp;
  readonly set_author: Identity;
}

export function effectiveItemToWire(item: BlamedItem): WireEffectiveItem {
  const { spec } = item;
  return {
    kind: item.kind,
    key: item.key,
    value: item.value ?? undefined,
    mount:
      spec !== undefined && 'source' in spec
        ? { fsType: spec.fs_type, source: spec.source, options: spec.options, readOnly: spec.read_only }
        : undefined,
    file: spec !== undefined && !('source' in spec) ? { mode: spec.mode, owner: spec.owner } : undefined,
    setBy: item.set_by,
    setAt: timestampToWire(item.set_at, 'set_at'),
    setAuthor: identityToWire(item.set_author),
  };
}

/** Fails with `WireError`. */
export function effectiveItemFromWire(wire: WireEffectiveItem, at = 'item'): BlamedItem {
  return {
    kind: deltaKindFromWire(wire.kind, `${at}.kind`),
    key: nonEmpty(wire.key, `${at}.key`),
    value: wire.value ?? null,
    ...present('spec', specFromWire(wire)),
    set_by: wire.setBy as EntrySeq,
    set_at: timestampFromWire(wire.setAt, `${at}.set_at`),
    set_author: identityFromWire(wire.setAuthor, `${at}.set_author`),
  };
}

function specFromWire({ mount, file }: WireEffectiveItem): DeltaItem['spec'] {
  if (mount !== undefined) {
    return { fs_type: mount.fsType, source: mount.source, options: mount.options, read_only: mount.readOnly };
  }
  if (file !== undefined) return { ...present('mode', file.mode), ...present('owner', file.owner) };
  return undefined;
}
