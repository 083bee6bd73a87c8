import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  JournalStateError,
  canonicalJson,
  decodeCommand,
  defaultPolicy,
  emptyDelta,
  encodeCommand,
  isJournalStateError,
  parseEnvelope,
  parseIdentity,
  parseNewEntry,
  parsePolicy,
  parseScope,
  parseStateDelta,
} from '@pact-journal/journal-state';
import {
  aCommit,
  anEntry,
  anEnvelope,
  at,
  commandLogs,
  deltas,
  vcluster,
} from '@pact-journal/journal-state/testing';

/** The message with which something is refused. */
function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (!isJournalStateError(error)) throw error;
    expect(error.code).toMatch(/^(malformed|tooLarge|anonymousAuthor|ttlOutOfRange)$/);
    return error.message;
  }
  throw new Error('was accepted');
}

describe('a state delta', () => {
  it('may leave arrays, values and previous values out', () => {
    expect(parseStateDelta({})).toEqual(emptyDelta());
    expect(parseStateDelta({ kernel: [{ action: 'Remove', key: 'a' }] }).kernel).toEqual([
      { action: 'Remove', key: 'a', value: null, previous: null },
    ]);
  });

  it.each([
    [
      { mounts: [{}, {}, {}, { action: 'add', key: '/x' }].slice(3) },
      'mounts[0].action: must be Add, Remove or Modify, not "add"',
    ],
    [{ mounts: [{ key: '/x' }] }, 'mounts[0].action: is missing, must be Add, Remove or Modify'],
    [{ kernel: [{ action: 'Add', key: '' }] }, 'kernel[0].key: must be a non-empty string, not ""'],
    [{ kernel: [{ action: 'Add', key: 5 }] }, 'kernel[0].key: must be a non-empty string, not 5'],
    [{ kernel: [{ action: 'Add', key: 'a', value: 1 }] }, 'kernel[0].value: must be a string or null, not 1'],
    [
      { kernel: [{ action: 'Add', key: 'a', vaule: '1' }] },
      'kernel[0].vaule: is not a known field; did you mean "value"?',
    ],
    [
      { kernel: [{ action: 'Add', key: 'a', spec: {} }] },
      'kernel[0].spec: must be left out (only mounts and files have one), not of type object',
    ],
    [{ kernels: [] }, 'kernels: is not a known field; did you mean "kernel"?'],
    [{ kernel: {} }, 'kernel: must be an array, not of type object'],
    [{ kernel: ['a'] }, 'kernel[0]: must be an object, not "a"'],
    [[], 'delta: must be an object of seven arrays, not an array'],
    [null, 'delta: must be an object of seven arrays, not null'],
    [
      {
        kernel: [
          { action: 'Add', key: 'a' },
          { action: 'Add', key: 'b' },
          { action: 'Remove', key: 'a' },
        ],
      },
      'kernel[2].key: must be given once (kernel[0] has it too), not "a"',
    ],
    [
      { gpu: [{ action: 'Add', key: '01' }] },
      `gpu[0].key: must be a GPU's index, "0" to "4294967295", not "01"`,
    ],
    [
      { gpu: [{ action: 'Add', key: '4294967296' }] },
      `gpu[0].key: must be a GPU's index, "0" to "4294967295", not "4294967296"`,
    ],
    [
      { mounts: [{ action: 'Add', key: '/x', value: 'b', spec: { source: 'a' } }] },
      'mounts[0].value: must be the source in mounts[0].spec ("a"), not "b"',
    ],
    [
      { mounts: [{ action: 'Add', key: '/x', spec: { fstype: 'nfs' } }] },
      'mounts[0].spec.fstype: is not a known field; did you mean "fs_type"?',
    ],
    [
      { mounts: [{ action: 'Add', key: '/x', spec: { read_only: 'yes' } }] },
      'mounts[0].spec.read_only: must be true or false, not "yes"',
    ],
    [
      { files: [{ action: 'Add', key: '/x', spec: { mode: 4096 } }] },
      'files[0].spec.mode: must be permission bits, 0 to 4095 (0o7777), not 4096',
    ],
    [
      { files: [{ action: 'Add', key: '/x', previous_spec: {} }] },
      'files[0].previous_spec: must be left out (only mounts have one), not of type object',
    ],
  ])('%j is refused with the place and what would be right', (json, message) => {
    expect(refusal(() => parseStateDelta(json))).toBe(message);
  });

  it('has the path of the wrong field in the error', () => {
    const parse = (): unknown => parseStateDelta({ mounts: [{ action: 'add', key: '/x' }] }, 'state_delta');
    expect(parse).toThrowError(
      expect.objectContaining({ code: 'malformed', path: 'state_delta.mounts[0].action' }),
    );
  });

  it('takes a GPU index as a number', () => {
    expect(parseStateDelta({ gpu: [{ action: 'Add', key: 3, value: 'mig' }] }).gpu[0]?.key).toBe('3');
  });

  describe('of mounts, in its normal form', () => {
    const item = (json: object): unknown =>
      parseStateDelta({ mounts: [{ action: 'Add', key: '/x', ...json }] }).mounts[0];
    const nfs = { fs_type: 'nfs4', source: 'srv:/x', options: 'hard', read_only: false };

    it.each([
      ['value is filled in from the spec', { spec: nfs }, { value: 'srv:/x', spec: nfs }],
      [
        'the spec takes its source from value',
        { value: 'srv:/x', spec: { ...nfs, source: null } },
        { value: 'srv:/x', spec: nfs },
      ],
      [
        'a spec that says no more than the source is left out',
        { spec: { source: 'srv:/x' } },
        { value: 'srv:/x' },
      ],
      ['an empty spec is an empty source', { spec: {} }, { value: '' }],
      [
        'a spec with one attribute is whole',
        { value: 'a', spec: { read_only: true } },
        { value: 'a', spec: { fs_type: '', source: 'a', options: '', read_only: true } },
      ],
      ['no spec is no spec', { value: null, spec: null }, { value: null }],
    ])('%s', (_name, given, expected) => {
      expect(item(given)).toEqual({ action: 'Add', key: '/x', previous: null, ...expected });
    });

    it('the same holds for what was there before', () => {
      expect(item({ previous_spec: nfs })).toEqual({
        action: 'Add',
        key: '/x',
        value: null,
        previous: 'srv:/x',
        previous_spec: nfs,
      });
      expect(item({ previous_spec: { source: 'a' } })).toEqual({
        action: 'Add',
        key: '/x',
        value: null,
        previous: 'a',
      });
    });
  });

  it('of files has a spec of what is known', () => {
    const spec = (json: unknown): unknown =>
      parseStateDelta({ files: [{ action: 'Add', key: '/x', spec: json }] }).files[0]?.spec;
    expect(spec({ mode: 0o644, owner: 'root:root' })).toEqual({ mode: 0o644, owner: 'root:root' });
    expect(spec({ mode: null, owner: 'root:root' })).toEqual({ owner: 'root:root' });
    expect(spec({})).toBeUndefined();
    expect(spec(null)).toBeUndefined();
  });

  it('in its normal form is its own normal form', () => {
    fc.assert(
      fc.property(deltas(fc), (delta) => {
        expect(parseStateDelta(JSON.parse(JSON.stringify(delta)))).toEqual(delta);
      }),
    );
  });

  it('cannot reach a prototype', () => {
    const json: unknown = JSON.parse('{"kernel":[{"action":"Add","key":"__proto__","value":"x"}]}');
    expect(parseStateDelta(json).kernel[0]?.key).toBe('__proto__');
    expect(refusal(() => parseStateDelta(JSON.parse('{"__proto__":[]}')))).toContain('__proto__');
  });
});

describe('an entry', () => {
  it('read from a journal can be handed back', () => {
    const entry = {
      ...aCommit(vcluster('ml'), { kernel: { a: '1' } }),
      sequence: 7,
      timestamp: at(0),
      hash: 'sha256:00',
    };
    expect(parseNewEntry(entry)).toEqual(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
  });

  it.each([
    [{ entry_type: 'commit' }, 'entry_type: must be Commit, Rollback,'],
    [{ scope: 'global' }, 'scope: must be "Global", {"VCluster": id} or {"Node": id}, not "global"'],
    [{ scope: { VCluster: 'a', Node: 'b' } }, 'scope: must be "Global"'],
    [{ scope: { VCluster: '' } }, 'scope.VCluster: must be a non-empty string, not ""'],
    [{ scope: { VCluster: ' a' } }, 'scope.VCluster: must be free of control characters'],
    [{ parent: -1 }, 'parent: must be a sequence (an integer from 0) or null, not -1'],
    [{ ttl: 900 }, 'ttl: is not a known field; did you mean'],
    [
      { author: { principal: 'a', role: 'b', principal_type: 'human' } },
      'author.principal_type: must be Human, Agent or Service, not "human"',
    ],
    [{ state_delta: { kernel: 1 } }, 'state_delta.kernel: must be an array, not 1'],
  ])('with %j is refused', (over, message) => {
    expect(refusal(() => parseNewEntry({ ...anEntry(), ...over }))).toContain(message);
  });
});

describe('a policy', () => {
  it('has defaults for what is missing, and takes the id of its vCluster', () => {
    expect(parsePolicy({}, 'ml')).toEqual(defaultPolicy('ml'));
    expect(parsePolicy({ enforcement_mode: '', supervisor_backend: '' }, 'ml')).toEqual(defaultPolicy('ml'));
    expect(refusal(() => parsePolicy({}))).toBe('policy.vcluster_id: is missing, must be a non-empty string');
  });

  it.each([
    [{ drift_sensitivity: Number.NaN }, 'policy.drift_sensitivity: must be a number from 0'],
    [
      { enforcement_mode: 'strict' },
      'policy.enforcement_mode: must be observe, warn or enforce, not "strict"',
    ],
    [
      { emergency_window: 5 },
      'policy.emergency_window: is not a known field; did you mean "emergency_window_seconds"?',
    ],
    [
      { role_bindings: [{ role: 'a', principals: 'b' }] },
      'policy.role_bindings[0].principals: must be an array of strings',
    ],
    [
      { base_commit_window_seconds: -1 },
      'policy.base_commit_window_seconds: must be an integer from 0 to 4294967295, not -1',
    ],
    [{ regulated: 1 }, 'policy.regulated: must be true or false, not 1'],
  ])('with %j is refused', (over, message) => {
    expect(refusal(() => parsePolicy(over, 'ml'))).toContain(message);
  });
});

describe('identities and scopes', () => {
  it('are read strictly', () => {
    expect(parseScope({ Node: 'n1' })).toEqual({ Node: 'n1' });
    expect(parseIdentity({ principal: 'a', principal_type: 'Agent', role: 'b' })).toEqual({
      principal: 'a',
      principal_type: 'Agent',
      role: 'b',
    });
    expect(refusal(() => parseIdentity({ principal: 'a', principal_type: 'Human', role: ' ' }))).toContain(
      'author.role',
    );
  });
});

describe('commands', () => {
  it('are one line of canonical JSON and come back as they were', () => {
    fc.assert(
      fc.property(commandLogs(fc), (log) => {
        for (const envelope of log) {
          const bytes = encodeCommand(envelope);
          const text = new TextDecoder().decode(bytes);
          expect(text).not.toContain('\n');
          expect(text).toBe(canonicalJson(JSON.parse(text)));
          let parsed;
          try {
            parsed = parseEnvelope(envelope);
          } catch {
            expect(() => decodeCommand(bytes)).toThrowError(JournalStateError);
            continue;
          }
          expect(decodeCommand(bytes)).toEqual(parsed);
        }
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    [{ command: { type: 'Commit' }, time: at(0) }, 'command.type: must be AppendEntry, UpdateNodeState,'],
    [
      { command: {}, time: at(0), requestId: 'x' },
      'requestId: is not a known field; did you mean "request_id"?',
    ],
    [{ time: at(0) }, 'command: is missing, must be an object'],
    [
      { ...anEnvelope({ type: 'AppendEntry', entry: anEntry() }), request_id: '' },
      'request_id: must be a string of 1 to 128 characters, not ""',
    ],
    [
      { command: { type: 'UpdateNodeState', node_id: 'n', state: 'Broken' }, time: at(0) },
      'state: must be ObserveOnly, Committed, Drifted, Converging or Emergency',
    ],
  ])('%j is refused', (envelope, message) => {
    expect(refusal(() => parseEnvelope(envelope))).toContain(message);
  });

  it('that are not JSON or not UTF-8 are refused', () => {
    expect(refusal(() => decodeCommand(Uint8Array.of(0x7b)))).toBe('command: must be JSON in UTF-8');
    expect(refusal(() => decodeCommand(Uint8Array.of(0x22, 0xff, 0x22)))).toBe(
      'command: must be JSON in UTF-8',
    );
  });
});

describe('the package', () => {
  it('depends on no gRPC and on no native code', () => {
    const manifest = createRequire(import.meta.url)('../package.json') as {
      dependencies: Record<string, string>;
    };
    expect(Object.keys(manifest.dependencies).sort()).toEqual([
      '@noble/hashes',
      'fast-json-stable-stringify',
      'fastest-levenshtein',
    ]);
  });
});
