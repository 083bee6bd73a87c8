import { DELTA_KINDS } from '@pact-journal/journal-state';
import type { DeltaItem, DeltaKind, FileSpec, MountSpec, StateDelta } from '@pact-journal/journal-state';
import type * as config from '../gen/pact/config.ts';
import { deltaActionFromWire, deltaActionToWire } from './enums.ts';
import { nonEmpty, present, WireError } from './errors.ts';

/** The wire's message for each kind. */
interface WireItems {
  readonly mounts: config.MountDelta;
  readonly files: config.FileDelta;
  readonly network: config.NetworkDelta;
  readonly services: config.ServiceDelta;
  readonly kernel: config.KernelDelta;
  readonly packages: config.PackageDelta;
  readonly gpu: config.GpuDelta;
}

/** How one kind travels. `at` is the item's path, for errors. */
interface Mapping<Wire> {
  toWire(item: DeltaItem, at: string): Wire;
  fromWire(wire: Wire, at: string): DeltaItem;
}

const mounts: Mapping<config.MountDelta> = {
  toWire: (item, at) => ({
    path: item.key,
    action: deltaActionToWire(item.action),
    declared: mountToWire(item.value, mountSpec(item.spec, at), `${at}.spec`),
    actual: mountToWire(item.previous, item.previous_spec, `${at}.previous_spec`),
  }),
  fromWire: (wire, at) => ({
    action: deltaActionFromWire(wire.action, `${at}.action`),
    key: nonEmpty(wire.path, `${at}.path`),
    previous: wire.actual?.source ?? null,
    ...present('previous_spec', specFromWire(wire.actual)),
    ...present('spec', specFromWire(wire.declared)),
    value: wire.declared?.source ?? null,
  }),
};

function mountSpec(spec: MountSpec | FileSpec | undefined, at: string): MountSpec | undefined {
  if (spec === undefined) return undefined;
  if ('source' in spec) return spec;
  throw new WireError('malformed', `${at}.spec`, 'must be a mount: fs_type, source, options and read_only');
}

function mountToWire(
  source: string | null,
  spec: MountSpec | undefined,
  at: string,
): config.MountSpec | undefined {
  if (spec === undefined) {
    return source === null ? undefined : { fsType: '', source, options: '', readOnly: false };
  }
  if (spec.source !== source) throw new WireError('malformed', `${at}.source`, 'must equal the value');
  return { fsType: spec.fs_type, source: spec.source, options: spec.options, readOnly: spec.read_only };
}

/** A mount of which only the source is known has no spec: its value says it all. */
function specFromWire(wire: config.MountSpec | undefined): MountSpec | undefined {
  if (wire === undefined || (wire.fsType === '' && wire.options === '' && !wire.readOnly)) return undefined;
  return { fs_type: wire.fsType, source: wire.source, options: wire.options, read_only: wire.readOnly };
}

const MAX_FILE_MODE = 0o7777;

const files: Mapping<config.FileDelta> = {
  toWire: (item, at) => {
    const spec = fileSpec(item.spec, at);
    return {
      path: item.key,
      action: deltaActionToWire(item.action),
      contentHash: item.value ?? undefined,
      mode: spec?.mode,
      owner: spec?.owner,
      previous: item.previous ?? undefined,
    };
  },
  fromWire: (wire, at) => {
    if (wire.mode !== undefined && wire.mode > MAX_FILE_MODE) {
      throw new WireError(
        'outOfRange',
        `${at}.mode`,
        `must be at most 0o7777, not 0o${wire.mode.toString(8)}`,
      );
    }
    const spec: FileSpec = { ...present('mode', wire.mode), ...present('owner', wire.owner) };
    return {
      action: deltaActionFromWire(wire.action, `${at}.action`),
      key: nonEmpty(wire.path, `${at}.path`),
      previous: wire.previous ?? null,
      ...present('spec', wire.mode === undefined && wire.owner === undefined ? undefined : spec),
      value: wire.contentHash ?? null,
    };
  },
};

function fileSpec(spec: MountSpec | FileSpec | undefined, at: string): FileSpec | undefined {
  if (spec === undefined) return undefined;
  if (!('source' in spec)) return spec;
  throw new WireError('malformed', `${at}.spec`, "must be a file's: mode and owner");
}

const network: Mapping<config.NetworkDelta> = {
  toWire: (item) => ({
    interface: item.key,
    action: deltaActionToWire(item.action),
    detail: item.value ?? undefined,
    previous: item.previous ?? undefined,
  }),
  fromWire: (wire, at) => plain(wire.interface, 'interface', wire.action, wire.detail, wire.previous, at),
};

const services: Mapping<config.ServiceDelta> = {
  toWire: (item) => ({
    name: item.key,
    action: deltaActionToWire(item.action),
    declaredState: item.value ?? undefined,
    actualState: item.previous ?? undefined,
  }),
  fromWire: (wire, at) => plain(wire.name, 'name', wire.action, wire.declaredState, wire.actualState, at),
};

const kernel: Mapping<config.KernelDelta> = {
  toWire: (item) => ({
    key: item.key,
    action: deltaActionToWire(item.action),
    declaredValue: item.value ?? undefined,
    actualValue: item.previous ?? undefined,
  }),
  fromWire: (wire, at) => plain(wire.key, 'key', wire.action, wire.declaredValue, wire.actualValue, at),
};

const packages: Mapping<config.PackageDelta> = {
  toWire: (item) => ({
    name: item.key,
    action: deltaActionToWire(item.action),
    version: item.value ?? undefined,
    previous: item.previous ?? undefined,
  }),
  fromWire: (wire, at) => plain(wire.name, 'name', wire.action, wire.version, wire.previous, at),
};

const gpu: Mapping<config.GpuDelta> = {
  toWire: (item, at) => ({
    gpuIndex: gpuIndex(item.key, at),
    action: deltaActionToWire(item.action),
    detail: item.value ?? undefined,
    previous: item.previous ?? undefined,
  }),
  fromWire: (wire, at) =>
    plain(String(wire.gpuIndex), 'gpu_index', wire.action, wire.detail, wire.previous, at),
};

/** Only the canonical form, so that an index has one key. */
function gpuIndex(key: string, at: string): number {
  const index = Number(key);
  if (Number.isInteger(index) && index >= 0 && index <= 0xffffffff && String(index) === key) return index;
  throw new WireError(
    'malformed',
    `${at}.key`,
    `must be a GPU's index such as "0", not ${JSON.stringify(key.slice(0, 40))}`,
  );
}

function plain(
  key: string,
  keyField: string,
  action: number,
  value: string | undefined,
  previous: string | undefined,
  at: string,
): DeltaItem {
  return {
    action: deltaActionFromWire(action, `${at}.action`),
    key: nonEmpty(key, `${at}.${keyField}`),
    previous: previous ?? null,
    value: value ?? null,
  };
}

const mappings: { readonly [Kind in DeltaKind]: Mapping<WireItems[Kind]> } = {
  mounts,
  files,
  network,
  services,
  kernel,
  packages,
  gpu,
};

function itemsToWire<Kind extends DeltaKind>(
  kind: Kind,
  items: readonly DeltaItem[],
  at: string,
): WireItems[Kind][] {
  const mapping = mappings[kind];
  return items.map((item, index) => mapping.toWire(item, `${at}.${kind}[${index}]`));
}

function itemsFromWire<Kind extends DeltaKind>(
  kind: Kind,
  items: readonly WireItems[Kind][],
  at: string,
): DeltaItem[] {
  if (items.length === 0) return []; // most of the seven are
  const mapping = mappings[kind];
  return items.map((item, index) => mapping.fromWire(item, `${at}.${kind}[${index}]`));
}

/** Fails with `WireError` where an item cannot be said on the wire: a GPU key that is no index, a spec of another kind. */
export function stateDeltaToWire(delta: StateDelta, at = 'state_delta'): config.StateDelta {
  return {
    mounts: itemsToWire('mounts', delta.mounts, at),
    files: itemsToWire('files', delta.files, at),
    network: itemsToWire('network', delta.network, at),
    services: itemsToWire('services', delta.services, at),
    kernel: itemsToWire('kernel', delta.kernel, at),
    packages: itemsToWire('packages', delta.packages, at),
    gpu: itemsToWire('gpu', delta.gpu, at),
  };
}

/** All seven arrays are present. Fails with `WireError` for an empty key, an unknown action, a file mode above 0o7777. */
export function stateDeltaFromWire(wire: config.StateDelta, at = 'state_delta'): StateDelta {
  return {
    files: itemsFromWire('files', wire.files, at),
    gpu: itemsFromWire('gpu', wire.gpu, at),
    kernel: itemsFromWire('kernel', wire.kernel, at),
    mounts: itemsFromWire('mounts', wire.mounts, at),
    network: itemsFromWire('network', wire.network, at),
    packages: itemsFromWire('packages', wire.packages, at),
    services: itemsFromWire('services', wire.services, at),
  };
}

/** Whether a word names one of the seven kinds. Fails with `WireError` otherwise. */
export function deltaKindFromWire(kind: string, field = 'kind'): DeltaKind {
  const known = DELTA_KINDS.find((candidate) => candidate === kind);
  if (known !== undefined) return known;
  throw new WireError(
    'malformed',
    field,
    `must be one of ${DELTA_KINDS.join(', ')}, not ${JSON.stringify(kind.slice(0, 40))}`,
  );
}
