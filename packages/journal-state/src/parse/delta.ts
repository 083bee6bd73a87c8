import { utf8Exceeds } from '../canonical.ts';
import {
  DELTA_ITEMS_MAX,
  FILE_MODE_MAX,
  KEY_SIZE_BYTES_MAX,
  TEXT_SIZE_BYTES_MAX,
  UINT32_MAX,
  VALUE_SIZE_BYTES_MAX,
} from '../limits.ts';
import { DELTA_KINDS } from '../types.ts';
import type { DeltaAction, DeltaItem, DeltaKind, FileSpec, MountSpec, StateDelta } from '../types.ts';
import { isRecord, refuse, refuseField, refuseSize, text } from './fields.ts';
import type { JsonRecord } from './fields.ts';

const ITEM_FIELDS = ['action', 'key', 'value', 'previous', 'spec', 'previous_spec'] as const;
const MOUNT_SPEC_FIELDS = ['fs_type', 'source', 'options', 'read_only'] as const;
const FILE_SPEC_FIELDS = ['mode', 'owner'] as const;

const NO_ITEMS: readonly DeltaItem[] = Object.freeze([]);

/** The delta that changes nothing. */
export const EMPTY_DELTA: StateDelta = Object.freeze({
  files: NO_ITEMS,
  gpu: NO_ITEMS,
  kernel: NO_ITEMS,
  mounts: NO_ITEMS,
  network: NO_ITEMS,
  packages: NO_ITEMS,
  services: NO_ITEMS,
});

/** A delta that changes nothing: seven empty arrays. */
export const emptyDelta = (): StateDelta => EMPTY_DELTA;

/** Number of items of all kinds. */
export function deltaSize(delta: StateDelta): number {
  let size = 0;
  for (const kind of DELTA_KINDS) size += delta[kind].length;
  return size;
}

/**
 * Reads a StateDelta and brings it to its normal form, so that one change has one JSON:
 * - arrays that are missing are empty; `value` and `previous` that are missing are null;
 * - a mount's `value` is its source, and `spec` is there only where it says more than that (type, options, read-only);
 *   the same goes for `previous` and `previous_spec`;
 * - a file's `spec` holds `mode` and `owner` as far as they are known, and is left out where neither is;
 * - a GPU's key is its index in decimal (a number is accepted).
 *
 * A key may appear once a kind: two items for one key have no agreed meaning.
 *
 * @throws JournalStateError `malformed` or `tooLarge`, naming the field: `mounts[3].action: must be Add, Remove or ...`
 */
export function parseStateDelta(json: unknown, path = ''): StateDelta {
  if (!isRecord(json)) refuse(path === '' ? 'delta' : path, 'an object of seven arrays', json);
  for (const field in json) if (!Object.hasOwn(EMPTY_DELTA, field)) refuseField(path, field, DELTA_KINDS);
  return {
    files: parseItems('files', json['files'], path),
    gpu: parseItems('gpu', json['gpu'], path),
    kernel: parseItems('kernel', json['kernel'], path),
    mounts: parseItems('mounts', json['mounts'], path),
    network: parseItems('network', json['network'], path),
    packages: parseItems('packages', json['packages'], path),
    services: parseItems('services', json['services'], path),
  };
}

function parseItems(kind: DeltaKind, json: unknown, path: string): readonly DeltaItem[] {
  if (json === undefined || (Array.isArray(json) && json.length === 0)) return NO_ITEMS;
  const base = path === '' ? kind : `${path}.${kind}`;
  if (!Array.isArray(json)) return refuse(base, 'an array', json);
  if (json.length > DELTA_ITEMS_MAX) refuseSize(base, `${String(DELTA_ITEMS_MAX)} items`);
  const items = json.map((item: unknown, at) => parseItem(kind, item, base, at));
  if (items.length > 1) refuseRepeatedKeys(items, base);
  return items;
}

function refuseRepeatedKeys(items: readonly DeltaItem[], base: string): void {
  const firstAt = new Map<string, number>();
  items.forEach((item, at) => {
    const first = firstAt.get(item.key);
    if (first !== undefined) {
      refuse(`${base}[${String(at)}].key`, `given once (${base}[${String(first)}] has it too)`, item.key);
    }
    firstAt.set(item.key, at);
  });
}

function parseItem(kind: DeltaKind, json: unknown, base: string, at: number): DeltaItem {
  if (!isRecord(json)) return refuse(`${base}[${String(at)}]`, 'an object', json);
  for (const field in json) {
    switch (field) {
      case 'action':
      case 'key':
      case 'value':
      case 'previous':
      case 'spec':
      case 'previous_spec':
        break;
      default:
        refuseField(`${base}[${String(at)}]`, field, ITEM_FIELDS);
    }
  }
  const action = parseAction(json['action'], base, at);
  const key = kind === 'gpu' ? parseGpuKey(json['key'], base, at) : parseKey(json['key'], base, at);
  const previous = parseValue(json['previous'], 'previous', base, at);
  const value = parseValue(json['value'], 'value', base, at);
  const specless = isAbsent(json['spec']) && isAbsent(json['previous_spec']);
  if (specless) return { action, key, previous, value };
  const where = `${base}[${String(at)}]`;
  if (kind === 'mounts') return mountItem(json, { action, key, previous, value }, where);
  if (kind === 'files') return fileItem(json, { action, key, previous, value }, where);
  return refuse(
    `${where}.spec`,
    `left out (only mounts and files have one)`,
    json['spec'] ?? json['previous_spec'],
  );
}

const isAbsent = (value: unknown): boolean => value === undefined || value === null;

function parseAction(value: unknown, base: string, at: number): DeltaAction {
  if (value === 'Add' || value === 'Remove' || value === 'Modify') return value;
  return refuse(`${base}[${String(at)}].action`, 'Add, Remove or Modify', value);
}

function parseKey(value: unknown, base: string, at: number): string {
  if (typeof value !== 'string' || value.length === 0)
    return refuse(`${base}[${String(at)}].key`, 'a non-empty string', value);
  if (utf8Exceeds(value, KEY_SIZE_BYTES_MAX))
    refuseSize(`${base}[${String(at)}].key`, `${String(KEY_SIZE_BYTES_MAX)} bytes`);
  return value;
}

function parseGpuKey(value: unknown, base: string, at: number): string {
  const key = typeof value === 'number' ? String(value) : value;
  if (typeof key === 'string' && /^(0|[1-9]\d{0,9})$/.test(key) && Number(key) <= UINT32_MAX) return key;
  return refuse(`${base}[${String(at)}].key`, `a GPU's index, "0" to "${String(UINT32_MAX)}"`, value);
}

function parseValue(value: unknown, field: 'value' | 'previous', base: string, at: number): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') return refuse(`${base}[${String(at)}].${field}`, 'a string or null', value);
  if (utf8Exceeds(value, VALUE_SIZE_BYTES_MAX)) {
    refuseSize(`${base}[${String(at)}].${field}`, `${String(VALUE_SIZE_BYTES_MAX)} bytes`);
  }
  return value;
}

// -- mounts and files -------------------------------------------------------------------------------------------

type PlainItem = Pick<DeltaItem, 'action' | 'key' | 'previous' | 'value'>;

function mountItem(json: JsonRecord, item: PlainItem, where: string): DeltaItem {
  const spec = parseMountSpec(json['spec'], `${where}.spec`, item.value, `${where}.value`);
  const previous = parseMountSpec(
    json['previous_spec'],
    `${where}.previous_spec`,
    item.previous,
    `${where}.previous`,
  );
  return {
    action: item.action,
    key: item.key,
    previous: previous === undefined ? item.previous : previous.source,
    ...(previous !== undefined && saysMoreThanSource(previous) ? { previous_spec: previous } : {}),
    ...(spec !== undefined && saysMoreThanSource(spec) ? { spec } : {}),
    value: spec === undefined ? item.value : spec.source,
  };
}

const saysMoreThanSource = (spec: MountSpec): boolean =>
  spec.fs_type !== '' || spec.options !== '' || spec.read_only;

function specRecord(json: unknown, where: string, known: readonly string[]): JsonRecord {
  if (!isRecord(json)) return refuse(where, `an object of ${known.join(', ')}`, json);
  for (const field of Object.keys(json)) if (!known.includes(field)) refuseField(where, field, known);
  return json;
}

const textOr = (value: unknown, where: string, fallback: string): string =>
  isAbsent(value) ? fallback : text(value, where, VALUE_SIZE_BYTES_MAX);

function parseMountSpec(
  json: unknown,
  where: string,
  source: string | null,
  sourcePath: string,
): MountSpec | undefined {
  if (isAbsent(json)) return undefined;
  const fields = specRecord(json, where, MOUNT_SPEC_FIELDS);
  const declared = textOr(fields['source'], `${where}.source`, source ?? '');
  if (source !== null && source !== declared)
    refuse(sourcePath, `the source in ${where} (${JSON.stringify(declared)})`, source);
  const readOnly = fields['read_only'];
  if (!isAbsent(readOnly) && typeof readOnly !== 'boolean')
    refuse(`${where}.read_only`, 'true or false', readOnly);
  return {
    fs_type: textOr(fields['fs_type'], `${where}.fs_type`, ''),
    options: textOr(fields['options'], `${where}.options`, ''),
    read_only: readOnly === true,
    source: declared,
  };
}

function fileItem(json: JsonRecord, item: PlainItem, where: string): DeltaItem {
  if (!isAbsent(json['previous_spec']))
    refuse(`${where}.previous_spec`, 'left out (only mounts have one)', json['previous_spec']);
  const spec = parseFileSpec(json['spec'], `${where}.spec`);
  if (spec === undefined) return item;
  return { action: item.action, key: item.key, previous: item.previous, spec, value: item.value };
}

function parseFileSpec(json: unknown, where: string): FileSpec | undefined {
  const fields = specRecord(json, where, FILE_SPEC_FIELDS);
  const mode = isAbsent(fields['mode']) ? undefined : parseMode(fields['mode'], `${where}.mode`);
  const owner = isAbsent(fields['owner'])
    ? undefined
    : text(fields['owner'], `${where}.owner`, TEXT_SIZE_BYTES_MAX);
  if (mode === undefined && owner === undefined) return undefined;
  return { ...(mode === undefined ? {} : { mode }), ...(owner === undefined ? {} : { owner }) };
}

function parseMode(value: unknown, where: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= FILE_MODE_MAX)
    return value;
  return refuse(where, 'permission bits, 0 to 4095 (0o7777)', value);
}
