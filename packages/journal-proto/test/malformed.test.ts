import { describe, expect, it } from 'vitest';
import {
  config,
  configStateFromWire,
  deltaActionFromWire,
  isWireError,
  journal,
  newEntryFromFieldedWire,
  newEntryFromWire,
  newOperationFromWire,
  policy,
  policyFromWire,
  principalTypeFromWire,
  stateDeltaFromWire,
  stateDeltaToWire,
  timestampFromWire,
} from '../src/index.ts';

const good = config.ConfigEntry.fromPartial({
  entryType: config.EntryType.COMMIT,
  scope: { scope: { $case: 'vclusterId', value: 'ml-training' } },
  author: { principal: 'ada', principalType: 'human', role: 'pact-ops-ml-training' },
});

function failure(attempt: () => unknown): { code: string; field: string; message: string } {
  try {
    attempt();
  } catch (error) {
    if (isWireError(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('malformed input is refused by the name of its field', () => {
  const emptyDelta = config.StateDelta.fromPartial({});
  const rows: readonly (readonly [string, string, Partial<config.ConfigEntry>])[] = [
    ['entry.entry_type', 'missing', { entryType: config.EntryType.UNSPECIFIED }],
    ['entry.entry_type', 'malformed', { entryType: 99 as never }],
    ['entry.scope', 'missing', { scope: undefined }],
    ['entry.scope', 'missing', { scope: { scope: undefined } }],
    ['entry.scope.global', 'malformed', { scope: { scope: { $case: 'global', value: false } } }],
    ['entry.scope.node_id', 'missing', { scope: { scope: { $case: 'nodeId', value: '' } } }],
    ['entry.scope.vcluster_id', 'missing', { scope: { scope: { $case: 'vclusterId', value: '' } } }],
    ['entry.author', 'missing', { author: undefined }],
    [
      'entry.author.principal_type',
      'malformed',
      { author: { principal: 'a', principalType: 'robot', role: 'r' } },
    ],
    ['entry.ttl', 'malformed', { ttl: { seconds: 900, nanos: 1 } }],
    [
      'entry.state_delta.mounts[0].path',
      'missing',
      { stateDelta: { ...emptyDelta, mounts: [config.MountDelta.create()] } },
    ],
    [
      'entry.state_delta.files[1].mode',
      'outOfRange',
      {
        stateDelta: {
          ...emptyDelta,
          files: [
            config.FileDelta.create({ path: '/a' }),
            config.FileDelta.create({ path: '/b', mode: 0o10000 }),
          ],
        },
      },
    ],
    [
      'entry.state_delta.kernel[0].action',
      'malformed',
      {
        stateDelta: { ...emptyDelta, kernel: [config.KernelDelta.create({ key: 'a', action: 9 as never })] },
      },
    ],
  ];

  it.each(rows)('%s: %s', (field, code, change) => {
    expect(failure(() => newEntryFromFieldedWire({ ...good, ...change }))).toMatchObject({ field, code });
  });

  it('accepts the entry that the rows above spoil', () => {
    expect(newEntryFromFieldedWire(good)).toMatchObject({
      entry_type: 'Commit',
      scope: { VCluster: 'ml-training' },
    });
  });

  it('an absent entry', () => {
    expect(failure(() => newEntryFromFieldedWire(undefined))).toMatchObject({
      field: 'entry',
      code: 'missing',
    });
    expect(failure(() => newEntryFromWire({ entry: undefined }))).toMatchObject({ field: 'entry.entry' });
  });

  it('an operation without its id, kind or time', () => {
    const whole = journal.Operation.fromPartial({
      operationId: 'op-1',
      operationType: journal.OperationType.EXEC,
      author: good.author,
      scope: good.scope,
      occurredAt: { seconds: 1, nanos: 0 },
    });
    expect(newOperationFromWire(whole).operation_id).toBe('op-1');
    expect(failure(() => newOperationFromWire({ ...whole, operationId: '' })).field).toBe(
      'operation.operation_id',
    );
    expect(failure(() => newOperationFromWire({ ...whole, operationType: 0 })).field).toBe(
      'operation.operation_type',
    );
    expect(failure(() => newOperationFromWire({ ...whole, occurredAt: undefined })).field).toBe(
      'operation.occurred_at',
    );
  });

  it('a policy with an unknown enforcement mode or no number', () => {
    const whole = policy.VClusterPolicy.fromPartial({ vclusterId: 'a' });
    expect(policyFromWire(whole)).toMatchObject({ enforcement_mode: 'observe', supervisor_backend: 'pact' });
    expect(failure(() => policyFromWire({ ...whole, enforcementMode: 'shout' })).field).toBe(
      'policy.enforcement_mode',
    );
    expect(failure(() => policyFromWire({ ...whole, driftSensitivity: Number.NaN })).field).toBe(
      'policy.drift_sensitivity',
    );
  });

  it('a time outside the calendar', () => {
    expect(failure(() => timestampFromWire({ seconds: 253_402_300_800, nanos: 0 })).code).toBe('outOfRange');
    expect(failure(() => timestampFromWire({ seconds: 0, nanos: -1 })).code).toBe('outOfRange');
  });

  it('a state that does not exist', () => {
    expect(configStateFromWire('drifted')).toBe('Drifted');
    expect(failure(() => configStateFromWire('Confused')).message).toContain('ObserveOnly, Committed');
  });

  it('a delta that the wire cannot carry', () => {
    const none = stateDeltaFromWire(emptyDelta);
    const item = { action: 'Add', key: '01', value: null, previous: null } as const;
    expect(failure(() => stateDeltaToWire({ ...none, gpu: [item] })).field).toBe('state_delta.gpu[0].key');
    const mountSpec = { fs_type: 'nfs', source: 'a:/b', options: '', read_only: false };
    expect(failure(() => stateDeltaToWire({ ...none, files: [{ ...item, spec: mountSpec }] })).field).toBe(
      'state_delta.files[0].spec',
    );
    expect(
      failure(() => stateDeltaToWire({ ...none, mounts: [{ ...item, value: 'other', spec: mountSpec }] }))
        .field,
    ).toBe('state_delta.mounts[0].spec.source');
  });
});

describe('what clients in the field send is understood', () => {
  it('principal types in any case, admin being a human', () => {
    for (const word of ['human', 'Human', 'HUMAN', 'admin', 'Admin'])
      expect(principalTypeFromWire(word)).toBe('Human');
    expect(principalTypeFromWire('AGENT')).toBe('Agent');
    expect(principalTypeFromWire('service')).toBe('Service');
  });

  it('an unspecified action as Modify', () => {
    expect(deltaActionFromWire(config.DeltaAction.UNSPECIFIED)).toBe('Modify');
  });

  it('a placeholder author, where the token decides', () => {
    const author = { principal: 'ada', principal_type: 'Human', role: 'r' } as const;
    const claimed = { ...good, author: { principal: '', principalType: '', role: '' } };
    expect(newEntryFromFieldedWire(claimed, { author }).author).toBe(author);
  });

  it('numbers up to 2^53 - 1 exactly, and none above', () => {
    const encoded = config.ConfigEntry.encode({ ...good, sequence: Number.MAX_SAFE_INTEGER }).finish();
    expect(config.ConfigEntry.decode(encoded).sequence).toBe(Number.MAX_SAFE_INTEGER);
    // Field 1, varint 2^53.
    expect(() =>
      config.ConfigEntry.decode(Uint8Array.of(8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10)),
    ).toThrow(RangeError);
    expect(() => config.ConfigEntry.encode({ ...good, sequence: 2 ** 53 })).toThrow(RangeError);
    expect(() => config.ConfigEntry.encode({ ...good, sequence: -1 })).toThrow(RangeError);
  });

  it('numbers of every length of varint', () => {
    for (let bits = 0; bits <= 52; bits += 1) {
      for (const sequence of [2 ** bits - 1, 2 ** bits, 2 ** bits + 1]) {
        expect(
          journal.AppendEntryResponse.decode(journal.AppendEntryResponse.encode({ sequence }).finish()),
        ).toEqual({ sequence });
      }
    }
  });
});
