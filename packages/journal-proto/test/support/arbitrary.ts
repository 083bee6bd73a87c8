/** Random values of the journal's types in normal form, for the properties of the mappers. */
import type {
  AdminOperation,
  ConfigEntry,
  DeltaItem,
  EntrySeq,
  Identity,
  MountSpec,
  NewConfigEntry,
  Scope,
  StateDelta,
  VClusterPolicy,
} from '@pact-journal/journal-state';
import fc from 'fast-check';

/** Plain objects, as JSON.parse makes them. */
function record<Model extends object>(model: {
  [Key in keyof Model]: fc.Arbitrary<Model[Key]>;
}): fc.Arbitrary<Model> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<Model>;
}

/** Any text, also beyond the basic plane; no lone surrogates, which UTF-8 cannot carry. */
const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
const maybe = (of: fc.Arbitrary<string>) => fc.option(of, { nil: null });
const action = fc.constantFrom('Add', 'Remove', 'Modify');

const mount: fc.Arbitrary<MountSpec> = record({
  fs_type: text,
  source: text,
  options: text,
  read_only: fc.boolean(),
});

/** A mount in normal form has a spec only where it says more than the source. */
function side(spec: MountSpec | null): { value: string | null; spec?: MountSpec } {
  if (spec === null) return { value: null };
  const bare = spec.fs_type === '' && spec.options === '' && !spec.read_only;
  return bare ? { value: spec.source } : { value: spec.source, spec };
}

const mountItem = fc
  .tuple(action, name, fc.option(mount, { nil: null }), fc.option(mount, { nil: null }))
  .map(([what, key, declared, actual]): DeltaItem => {
    const now = side(declared);
    const before = side(actual);
    return {
      action: what,
      key,
      value: now.value,
      previous: before.value,
      ...(now.spec ? { spec: now.spec } : {}),
      ...(before.spec ? { previous_spec: before.spec } : {}),
    };
  });

const plainItem = (key: fc.Arbitrary<string>): fc.Arbitrary<DeltaItem> =>
  record({ action, key, value: maybe(text), previous: maybe(text) });

const fileSpec = fc
  .record(
    { mode: fc.integer({ min: 0, max: 0o7777 }), owner: text },
    { requiredKeys: [], noNullPrototype: true },
  )
  .filter((spec) => Object.keys(spec).length > 0);

const fileItem = fc
  .tuple(plainItem(name), fc.option(fileSpec, { nil: undefined }))
  .map(([item, spec]): DeltaItem => (spec === undefined ? item : { ...item, spec }));

const gpuKey = fc.integer({ min: 0, max: 0xffffffff }).map(String);
const several = (item: fc.Arbitrary<DeltaItem>) => fc.array(item, { maxLength: 4 });

export const stateDelta: fc.Arbitrary<StateDelta> = record({
  mounts: several(mountItem),
  files: several(fileItem),
  network: several(plainItem(name)),
  services: several(plainItem(name)),
  kernel: several(plainItem(name)),
  packages: several(plainItem(name)),
  gpu: several(plainItem(gpuKey)),
});

export const scope: fc.Arbitrary<Scope> = fc.oneof(
  fc.constant('Global' as const),
  name.map((VCluster) => ({ VCluster })),
  name.map((Node) => ({ Node })),
);

export const identity: fc.Arbitrary<Identity> = record({
  principal: text,
  principal_type: fc.constantFrom('Human', 'Agent', 'Service'),
  role: text,
});

export const timestamp = fc
  .date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59.999Z'),
    noInvalidDate: true,
  })
  .map((date) => date.toISOString());

const sequence = fc.nat({ max: Number.MAX_SAFE_INTEGER }).map((value) => value as EntrySeq);

const entryType = fc.constantFrom(
  'Commit',
  'Rollback',
  'AutoConverge',
  'DriftDetected',
  'CapabilityChange',
  'PolicyUpdate',
  'BootConfig',
  'EmergencyStart',
  'EmergencyEnd',
  'ExecLog',
  'ShellSession',
  'ServiceLifecycle',
  'PendingApproval',
);

const newEntryFields = {
  entry_type: entryType,
  scope,
  author: identity,
  parent: fc.option(sequence, { nil: null }),
  state_delta: fc.option(stateDelta, { nil: null }),
  policy_ref: maybe(name),
  ttl_seconds: fc.option(fc.integer({ min: 0, max: 1_000_000 }), { nil: null }),
  emergency_reason: maybe(text),
};

export const newEntry: fc.Arbitrary<NewConfigEntry> = fc
  .tuple(record(newEntryFields), fc.option(text, { nil: undefined }))
  .map(([entry, message]) => (message === undefined ? entry : { ...entry, message }));

export const storedEntry: fc.Arbitrary<ConfigEntry> = fc
  .tuple(newEntry, sequence, timestamp, text, fc.option(sequence, { nil: undefined }))
  .map(([entry, seq, time, hash, expires]) => ({
    ...entry,
    sequence: seq,
    timestamp: time,
    hash,
    ...(expires === undefined ? {} : { expires }),
  }));

export const operation: fc.Arbitrary<AdminOperation> = record({
  operation_id: name,
  operation_type: fc.constantFrom('Exec', 'ShellStart', 'ShellEnd'),
  author: identity,
  scope,
  detail: text,
  exit_code: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { nil: null }),
  occurred_at: timestamp,
  audit_sequence: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  timestamp,
  hash: text,
});

const texts = fc.array(text, { maxLength: 3 });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });

export const policy: fc.Arbitrary<VClusterPolicy> = record({
  vcluster_id: name,
  policy_id: text,
  updated_at: fc.option(timestamp, { nil: null }),
  drift_sensitivity: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  base_commit_window_seconds: uint32,
  emergency_window_seconds: uint32,
  auto_converge_categories: texts,
  require_ack_categories: texts,
  enforcement_mode: fc.constantFrom('observe', 'warn', 'enforce'),
  role_bindings: fc.array(record({ role: name, principals: texts, allowed_actions: texts }), {
    maxLength: 3,
  }),
  regulated: fc.boolean(),
  two_person_approval: fc.boolean(),
  audit_retention_days: uint32,
  federation_template: maybe(text),
  supervisor_backend: name,
  exec_whitelist: texts,
  shell_whitelist: texts,
  emergency_allowed: fc.boolean(),
  ai_exec_allowed: fc.boolean(),
});
