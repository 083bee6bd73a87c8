import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  ENTRY_SIZE_BYTES_MAX,
  JournalState,
  OVERLAY_SIZE_BYTES_MAX,
  SYSTEM_IDENTITY,
  TTL_SECONDS_MAX,
  TTL_SECONDS_MIN,
} from '@pact-journal/journal-state';
import type {
  CommandEnvelope,
  ConfigEntry,
  JournalCommand,
  ValidationCode,
} from '@pact-journal/journal-state';
import {
  JournalFixture,
  TEST_EPOCH,
  aCommit,
  aDelta,
  aPolicy,
  aRollback,
  anEmergencyEnd,
  anEmergencyStart,
  anEntry,
  anEnvelope,
  anIdentity,
  anOperation,
  anOverlay,
  at,
  node,
  seq,
  vcluster,
} from '@pact-journal/journal-state/testing';

const append = (entry: unknown): JournalCommand => ({ type: 'AppendEntry', entry }) as JournalCommand;

/** The code with which a command is refused; it must change nothing that can be seen. */
function refusal(fixture: JournalFixture, command: JournalCommand): ValidationCode | 'accepted' {
  const { journal } = fixture;
  const before = [
    journal.entryCount,
    journal.operationCount,
    journal.headHash,
    JSON.stringify([...journal.nodes()]),
  ];
  const foreseen = journal.check(command);
  const { result, changes } = fixture.try(command);
  if (result.type !== 'ValidationError') {
    expect(foreseen).toBeUndefined();
    return 'accepted';
  }
  // Only how large an entry becomes is not known before it is written.
  if (result.code !== 'tooLarge') expect(foreseen).toEqual(result);
  expect([
    journal.entryCount,
    journal.operationCount,
    journal.headHash,
    JSON.stringify([...journal.nodes()]),
  ]).toEqual(before);
  expect(changes).toEqual({ staleOverlays: [] });
  return result.code;
}

describe('J1: sequences strictly increase without gaps, from 0', () => {
  it('counts only what was accepted', () => {
    const fixture = new JournalFixture();
    expect(fixture.append(anEntry())).toBe(0);
    expect(refusal(fixture, append(anEntry({ parent: seq(99) })))).toBe('parentNotBefore');
    expect(fixture.append(anEntry())).toBe(1);
    expect(fixture.setPolicy(aPolicy('ml'))).toBe(2);
    expect([...fixture.journal.entries()].map((entry) => entry.sequence)).toEqual([0, 1, 2]);
  });

  it('stays gap-free over many segments', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < 10_000; i += 1) fixture.append(anEntry());
    let expected = 0;
    for (const entry of fixture.journal.entries()) {
      expect(entry.sequence).toBe(expected);
      expected += 1;
    }
    expect(expected).toBe(10_000);
  });
});

describe('J2: a committed entry is never changed or removed', () => {
  it('keeps every entry as it was, through rollbacks and the end of ttls', () => {
    const fixture = new JournalFixture();
    fixture.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }, { ttl_seconds: TTL_SECONDS_MIN }));
    fixture.append(aCommit(vcluster('ml'), { kernel: { a: '2' } }));
    const before = [...fixture.journal.entries()];
    fixture.append(aRollback(vcluster('ml'), 0));
    fixture.advance(TTL_SECONDS_MAX);
    fixture.expire();
    expect([...fixture.journal.entries()].slice(0, 2)).toEqual(before);
  });

  it('has no command that takes an entry away: what is left in memory is the whole log', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < 5000; i += 1) fixture.append(aCommit(node('n1'), { kernel: { a: String(i) } }));
    expect(fixture.journal.entry(seq(0))?.state_delta?.kernel[0]?.value).toBe('0');
    expect([...fixture.journal.entries()]).toHaveLength(5000);
  });
});

describe('J3: no anonymous author on entries and operations', () => {
  const anonymous = [
    anIdentity({ principal: '' }),
    anIdentity({ role: '' }),
    anIdentity({ principal: '  \t' }),
    { principal_type: 'Human' },
    null,
    undefined,
  ];
  it.each(anonymous)('refuses %j', (author) => {
    const fixture = new JournalFixture();
    expect(refusal(fixture, append({ ...anEntry(), author }))).toBe('anonymousAuthor');
    const operation = { ...anOperation('op1'), author } as never;
    expect(refusal(fixture, { type: 'RecordOperation', operation })).toBe('anonymousAuthor');
    const setPolicy = { type: 'SetPolicy', vcluster_id: 'ml', policy: aPolicy('ml'), author } as never;
    expect(refusal(fixture, setPolicy)).toBe('anonymousAuthor');
  });
});

describe('J4: a parent must precede its entry', () => {
  it('refuses the entry itself and anything later as a parent', () => {
    const fixture = new JournalFixture();
    expect(refusal(fixture, append(anEntry({ parent: seq(0) })))).toBe('parentNotBefore');
    fixture.append(anEntry());
    expect(fixture.append(anEntry({ parent: seq(0) }))).toBe(1);
    expect(refusal(fixture, append(anEntry({ parent: seq(2) })))).toBe('parentNotBefore');
  });

  it('refuses a Rollback that does not say to what', () => {
    const fixture = new JournalFixture();
    fixture.append(anEntry());
    expect(refusal(fixture, append(anEntry({ entry_type: 'Rollback' })))).toBe('parentUnknown');
  });
});

describe("J5: an overlay's checksum matches its data and its version never goes back", () => {
  function withOverlay(): JournalFixture {
    const fixture = new JournalFixture();
    for (let i = 0; i < 3; i += 1) fixture.append(aCommit(vcluster('ml'), { kernel: { a: String(i) } }));
    fixture.setOverlay(anOverlay('ml', 1));
    return fixture;
  }
  const set = (overlay: unknown): JournalCommand => ({ type: 'SetOverlay', overlay }) as JournalCommand;

  it('refuses data that its checksum does not fit', () => {
    const fixture = withOverlay();
    expect(
      refusal(fixture, set({ ...anOverlay('ml', 2, 'new'), checksum: anOverlay('ml', 2, 'old').checksum })),
    ).toBe('overlayChecksum');
    expect(refusal(fixture, set({ ...anOverlay('ml', 2), checksum: '' }))).toBe('overlayChecksum');
    expect(fixture.journal.overlay('ml')?.version).toBe(1);
  });

  it('refuses an older version, takes the same one again and a newer one', () => {
    const fixture = withOverlay();
    expect(refusal(fixture, set(anOverlay('ml', 0)))).toBe('overlayVersion');
    expect(refusal(fixture, set(anOverlay('ml', 1)))).toBe('accepted');
    expect(refusal(fixture, set(anOverlay('ml', 2)))).toBe('accepted');
    expect(refusal(fixture, set(anOverlay('ml', 1)))).toBe('overlayVersion');
    expect(fixture.journal.overlay('ml')?.version).toBe(2);
  });

  it('refuses a version that nothing has made yet', () => {
    const fixture = withOverlay();
    expect(refusal(fixture, set(anOverlay('ml', 3)))).toBe('overlayVersion');
    expect(refusal(fixture, set(anOverlay('nobody', 0)))).toBe('overlayVersion');
    fixture.append(aCommit('Global', {}));
    expect(refusal(fixture, set(anOverlay('ml', 3)))).toBe('accepted');
  });

  it('keeps the data byte for byte', () => {
    const fixture = withOverlay();
    const data = Uint8Array.from({ length: 70_001 }, (_, index) => (index * 31) % 256);
    fixture.setOverlay(anOverlay('ml', 2, data));
    expect(fixture.journal.overlay('ml')).toMatchObject({ version: 2, raw_size_bytes: 70_001 });
    expect(Buffer.compare(Buffer.from(fixture.journal.overlay('ml')?.data ?? []), Buffer.from(data))).toBe(0);
  });

  it.each(['A', 'AAA', 'AA==A', 'AB==', 'AAB=', 'AA A', 'AAA\n', '====', 'AA-_', 'AAÄA'])(
    'refuses %j as base64',
    (data) => {
      expect(refusal(withOverlay(), set({ ...anOverlay('ml', 2), data }))).toBe('malformed');
    },
  );
});

describe('J6: one policy a vCluster', () => {
  it('replaces the policy and keeps the older ones in the log', () => {
    const fixture = new JournalFixture();
    fixture.setPolicy(aPolicy('ml', { drift_sensitivity: 1 }));
    fixture.setPolicy(aPolicy('ml', { drift_sensitivity: 3 }));
    expect(fixture.journal.policy('ml').drift_sensitivity).toBe(3);
    expect(fixture.journal.policyHistory('ml')).toEqual([0, 1]);
    expect(fixture.journal.entry(seq(0))?.policy?.drift_sensitivity).toBe(1);
  });

  it('refuses a policy that names another vCluster', () => {
    const fixture = new JournalFixture();
    const command = {
      type: 'SetPolicy',
      vcluster_id: 'ml',
      policy: aPolicy('hpc'),
      author: anIdentity(),
    } as const;
    expect(refusal(fixture, command)).toBe('vclusterMismatch');
  });

  it('has the defaults where none was set', () => {
    expect(new JournalState().policy('ml')).toMatchObject({
      vcluster_id: 'ml',
      drift_sensitivity: 2,
      base_commit_window_seconds: 900,
      emergency_window_seconds: 14_400,
      enforcement_mode: 'observe',
      emergency_allowed: true,
      audit_retention_days: 2555,
      supervisor_backend: 'pact',
      updated_at: null,
    });
  });
});

describe('SetPolicy', () => {
  it('is one command: the policy is set and a PolicyUpdate entry with author and message appended', () => {
    const fixture = new JournalFixture();
    const author = anIdentity({ principal: 'pol@example.org' });
    const policy = aPolicy('ml', { enforcement_mode: 'enforce' });
    const { result, changes } = fixture.try({
      type: 'SetPolicy',
      vcluster_id: 'ml',
      policy,
      author,
      message: 'stricter',
    });
    expect(result).toEqual({ type: 'EntryAppended', sequence: 0 });
    const entry = fixture.journal.entry(seq(0));
    expect(entry).toMatchObject({
      entry_type: 'PolicyUpdate',
      scope: { VCluster: 'ml' },
      author,
      message: 'stricter',
    });
    expect(entry?.policy_ref).toBe('ml@0');
    expect(fixture.journal.policy('ml')).toMatchObject({ policy_id: 'ml@0', updated_at: TEST_EPOCH });
    expect(changes).toEqual({ entry, staleOverlays: ['ml'], policy: 'ml' });
    expect(fixture.journal.vclusterVersion('ml')).toBe(0);
  });

  it('links each policy to the one before', () => {
    const fixture = new JournalFixture();
    fixture.setPolicy(aPolicy('ml'));
    fixture.append(anEntry());
    fixture.setPolicy(aPolicy('ml', { policy_id: 'house-rules-2' }));
    expect(fixture.journal.entry(seq(2))).toMatchObject({ parent: 0, policy_ref: 'house-rules-2' });
  });
});

describe('J7: every write goes through apply', () => {
  it('a reader has no way to change the state, and what it was given stays as it was', () => {
    const fixture = new JournalFixture();
    fixture.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
    const config = fixture.journal.effectiveConfig(vcluster('ml'));
    const digest = fixture.journal.digest();
    fixture.append(aCommit(vcluster('ml'), { kernel: { a: '2' } }));
    expect(config.kernel.get('a')?.value).toBe('1');
    expect(fixture.journal.digest()).not.toBe(digest);
  });
});

describe('J8: reads come from the local replica', () => {
  it('answers from the last applied command at once', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < 20; i += 1) {
      fixture.append(aCommit(vcluster('ml'), { kernel: { a: String(i) } }));
      expect(fixture.journal.effectiveConfig(vcluster('ml')).kernel.get('a')).toEqual({
        value: String(i),
        set_by: i,
      });
      expect(fixture.journal.vclusterVersion('ml')).toBe(i);
    }
  });
});

describe('J9: concurrent commits each get their own sequence', () => {
  it('two that were made from the same state both stand, the later applied one wins by key', () => {
    const fixture = new JournalFixture();
    fixture.append(anEntry());
    const first = fixture.append(
      aCommit(vcluster('ml'), { kernel: { a: 'first', b: 'first' } }, { parent: seq(0) }),
    );
    const second = fixture.append(aCommit(vcluster('ml'), { kernel: { a: 'second' } }, { parent: seq(0) }));
    expect([first, second]).toEqual([1, 2]);
    const { kernel } = fixture.journal.effectiveConfig(vcluster('ml'));
    expect([kernel.get('a')?.value, kernel.get('b')?.value]).toEqual(['second', 'first']);
  });
});

describe('ND1 and ND2: a ttl is between 15 minutes and 10 days', () => {
  it.each([
    [899, 'ttlOutOfRange'],
    [900, 'accepted'],
    [864_000, 'accepted'],
    [864_001, 'ttlOutOfRange'],
    [0, 'ttlOutOfRange'],
    [-900, 'ttlOutOfRange'],
    [900.5, 'malformed'],
    ['900', 'malformed'],
  ])('a ttl of %j seconds is %s', (ttl, outcome) => {
    expect(refusal(new JournalFixture(), append({ ...anEntry(), ttl_seconds: ttl }))).toBe(outcome);
  });
});

describe('A2: one emergency a node at a time', () => {
  function fleet(): JournalFixture {
    const fixture = new JournalFixture();
    fixture.assign('n1', 'ml');
    fixture.assign('n2', 'ml');
    fixture.assign('n3', 'hpc');
    return fixture;
  }

  it.each([
    [node('n1'), node('n1')],
    [node('n1'), vcluster('ml')],
    [vcluster('ml'), node('n2')],
    [vcluster('ml'), vcluster('ml')],
    ['Global' as const, node('n3')],
    [node('n3'), 'Global' as const],
    ['Global' as const, vcluster('other')],
  ])('with one under way in %j refuses one in %j', (first, second) => {
    const fixture = fleet();
    fixture.append(anEmergencyStart(first));
    expect(refusal(fixture, append(anEmergencyStart(second)))).toBe('emergencyActive');
    fixture.append(anEmergencyEnd(first));
    expect(refusal(fixture, append(anEmergencyStart(second)))).toBe('accepted');
  });

  it.each([
    [node('n1'), node('n2')],
    [node('n1'), vcluster('hpc')],
    [vcluster('ml'), vcluster('hpc')],
    [vcluster('ml'), node('unassigned')],
  ])('with one under way in %j allows one in %j', (first, second) => {
    const fixture = fleet();
    fixture.append(anEmergencyStart(first));
    expect(refusal(fixture, append(anEmergencyStart(second)))).toBe('accepted');
  });

  it('does not let a node move from its own emergency into another', () => {
    const fixture = fleet();
    fixture.append(anEmergencyStart(node('n1')));
    fixture.append(anEmergencyStart(vcluster('hpc')));
    expect(refusal(fixture, { type: 'AssignNode', node_id: 'n1', vcluster_id: 'hpc' })).toBe(
      'emergencyActive',
    );
  });
});

describe('P8: a service or AI principal cannot start or end an emergency', () => {
  it.each(['Service', 'Agent'] as const)('refuses a %s', (principal_type) => {
    const fixture = new JournalFixture();
    const author = anIdentity({ principal_type });
    expect(refusal(fixture, append(anEmergencyStart(node('n1'), { author })))).toBe('principalNotAllowed');
    fixture.append(anEmergencyStart(node('n1')));
    expect(refusal(fixture, append(anEmergencyEnd(node('n1'), { author })))).toBe('principalNotAllowed');
    expect(fixture.journal.nodeState('n1')).toBe('Emergency');
  });
});

describe('limits', () => {
  it('an overlay has at most 10 MiB', () => {
    const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    const fixture = new JournalFixture({ sha256 });
    fixture.append(aCommit(vcluster('ml')));
    const set = (size: number): JournalCommand => {
      const bytes = Buffer.alloc(size);
      const checksum = `sha256:${sha256(bytes)}`;
      const overlay = {
        ...anOverlay('ml', 0),
        data: bytes.toString('base64'),
        checksum,
        raw_size_bytes: size,
      };
      return { type: 'SetOverlay', overlay };
    };
    expect(refusal(fixture, set(OVERLAY_SIZE_BYTES_MAX + 1))).toBe('overlayTooLarge');
    expect(refusal(fixture, set(OVERLAY_SIZE_BYTES_MAX))).toBe('accepted');
  });

  it('an entry has at most 3.5 MiB, and one that is too large leaves no trace', () => {
    const fixture = new JournalFixture();
    const values = (count: number): unknown =>
      anEntry({
        scope: vcluster('big'),
        state_delta: aDelta({
          files: Object.fromEntries(
            Array.from({ length: count }, (_, index) => [`/f${String(index)}`, 'x'.repeat(1_000_000)]),
          ),
        }),
      });
    expect(4_000_000).toBeGreaterThan(ENTRY_SIZE_BYTES_MAX);
    expect(refusal(fixture, append(values(4)))).toBe('tooLarge');
    expect(fixture.journal.knowsVCluster('big')).toBe(false);
    expect(refusal(fixture, append(values(3)))).toBe('accepted');
    fixture.append(anEntry());
    expect([...fixture.journal.entries()].map((entry) => entry.sequence)).toEqual([0, 1]);
  });

  it('ids, keys, values and request ids are bounded', () => {
    const fixture = new JournalFixture();
    const long = 'x'.repeat(10_240);
    expect(refusal(fixture, { type: 'AssignNode', node_id: long, vcluster_id: 'ml' })).toBe('tooLarge');
    expect(refusal(fixture, append({ ...anEntry(), scope: { Node: long } }))).toBe('tooLarge');
    expect(refusal(fixture, append({ ...anEntry(), scope: { Node: 'a\nb' } }))).toBe('malformed');
    const item = (key: string, value: string): unknown => ({
      ...anEntry(),
      state_delta: { kernel: [{ action: 'Add', key, value }] },
    });
    expect(refusal(fixture, append(item('k'.repeat(4097), '')))).toBe('tooLarge');
    expect(refusal(fixture, append(item('ä'.repeat(2049), '')))).toBe('tooLarge');
    expect(refusal(fixture, append(item('k', 'v'.repeat(1_048_577))))).toBe('tooLarge');
    expect(refusal(fixture, append(item('ä'.repeat(2048), 'v'.repeat(1_048_576))))).toBe('accepted');
    expect(fixture.try(append(anEntry()), 'r'.repeat(129)).result).toMatchObject({ code: 'malformed' });
  });
});

describe('time', () => {
  it('never goes back in the log, even if the leader’s clock does', () => {
    const journal = new JournalState();
    for (const seconds of [10, 5, 11, 0]) journal.apply(anEnvelope(append(anEntry()), at(seconds)));
    expect([...journal.entries()].map((entry) => entry.timestamp)).toEqual([at(10), at(10), at(11), at(11)]);
  });

  it.each(['', 'yesterday', '2026-02-30T00:00:00.000Z', '2026-11-24', 5, null])(
    'refuses %j as the time of a command',
    (time) => {
      const envelope = { command: append(anEntry()), time } as CommandEnvelope;
      expect(new JournalState().apply(envelope).result).toMatchObject({
        type: 'ValidationError',
        code: 'malformed',
      });
    },
  );
});

describe('request ids: a retry gets the first answer', () => {
  it('appends once', () => {
    const fixture = new JournalFixture();
    const first = fixture.try(append(anEntry()), 'request-1');
    const second = fixture.try(append(anEntry({ message: 'again' })), 'request-1');
    expect(second).toEqual({ result: first.result, changes: { staleOverlays: [] }, repeated: true });
    expect(fixture.journal.entryCount).toBe(1);
  });

  it('holds for refusals too: the same id never has two outcomes', () => {
    const fixture = new JournalFixture();
    const refused = fixture.try(append(anEmergencyEnd(node('n1'))), 'request-1');
    fixture.append(anEmergencyStart(node('n1')));
    expect(fixture.try(append(anEmergencyEnd(node('n1'))), 'request-1').result).toEqual(refused.result);
    expect(fixture.try(append(anEmergencyEnd(node('n1'))), 'request-2').result.type).toBe('EntryAppended');
  });

  it('holds for the last 65,536 ids, in the order in which they came', () => {
    const journal = new JournalState();
    const send = (id: number): boolean =>
      journal.apply(
        anEnvelope({ type: 'UpdateNodeState', node_id: 'n', state: 'Drifted' }, at(0), `r${String(id)}`),
      ).repeated;
    for (let id = 0; id < 65_536; id += 1) send(id);
    expect([send(0), send(65_535)]).toEqual([true, true]);
    expect(send(65_536)).toBe(false);
    expect(send(1)).toBe(true);
    // The oldest has made room; as a new one it takes the place of the next.
    expect(send(0)).toBe(false);
    expect(send(1)).toBe(false);
  });
});

describe('operations', () => {
  it('are recorded in their own hash chain', () => {
    const fixture = new JournalFixture();
    fixture.record(anOperation('op1'));
    fixture.record(anOperation('op2', { operation_type: 'ShellStart', detail: 'session-7' }));
    const [first, second] = fixture.journal.operations();
    expect(first).toMatchObject({ audit_sequence: 0, operation_id: 'op1', timestamp: at(0) });
    expect(second).toMatchObject({
      audit_sequence: 1,
      operation_id: 'op2',
      timestamp: at(1),
      hash: fixture.journal.operationHeadHash,
    });
    expect(fixture.journal.entryCount).toBe(0);
  });

  it('arrive once: the same record again is fine, another one of the same id is refused', () => {
    const fixture = new JournalFixture();
    fixture.record(anOperation('op1'));
    fixture.record(anOperation('op1'));
    expect(fixture.journal.operationCount).toBe(1);
    const other = anOperation('op1', { detail: 'rm -rf /' });
    expect(refusal(fixture, { type: 'RecordOperation', operation: other })).toBe('duplicateOperation');
  });

  it('are read from a position on, or the newest ones', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < 5; i += 1) fixture.record(anOperation(`op${String(i)}`));
    const ids = (filter: { from?: number; limit?: number }): number[] =>
      [...fixture.journal.operations(filter)].map((operation) => operation.audit_sequence);
    expect(ids({ from: 3 })).toEqual([3, 4]);
    expect(ids({ from: 1, limit: 2 })).toEqual([1, 2]);
    expect(ids({ limit: 2 })).toEqual([3, 4]);
    expect(ids({ from: 9 })).toEqual([]);
  });
});

describe('entries', () => {
  function mixed(): JournalFixture {
    const fixture = new JournalFixture();
    const bob = anIdentity({ principal: 'bob' });
    fixture.append(anEntry());
    fixture.append(anEntry({ scope: vcluster('ml') }));
    fixture.append(anEntry({ scope: node('n1'), entry_type: 'DriftDetected', author: bob }));
    fixture.append(anEntry({ scope: vcluster('ml'), author: bob }));
    fixture.append(anEntry({ scope: vcluster('ml'), entry_type: 'ExecLog' }));
    fixture.append(anEntry({ author: bob }));
    return fixture;
  }
  const found = (fixture: JournalFixture, filter: Parameters<JournalState['entries']>[0]): number[] =>
    [...fixture.journal.entries(filter)].map((entry: ConfigEntry) => entry.sequence);

  it.each([
    [{}, [0, 1, 2, 3, 4, 5]],
    [{ scope: vcluster('ml') }, [1, 3, 4]],
    [{ scope: vcluster('unknown') }, []],
    [{ author: 'bob' }, [2, 3, 5]],
    [{ author: 'nobody' }, []],
    [{ entry_types: ['Commit' as const] }, [0, 1, 3, 5]],
    [{ entry_types: ['ExecLog' as const, 'DriftDetected' as const] }, [2, 4]],
    [{ entry_types: [] }, []],
    [{ scope: vcluster('ml'), author: 'bob', entry_types: ['Commit' as const] }, [3]],
    [{ from_sequence: seq(2), to_sequence: seq(4) }, [2, 3, 4]],
    [{ limit: 2 }, [4, 5]],
    [{ limit: 0 }, []],
    [{ scope: vcluster('ml'), limit: 2 }, [3, 4]],
    [{ entry_types: ['Commit' as const], limit: 2, to_sequence: seq(4) }, [1, 3]],
    [{ from_sequence: seq(4), limit: 5 }, [4, 5]],
  ])('matching %j are %j', (filter, expected) => {
    expect(found(mixed(), filter)).toEqual(expected);
  });

  it('of several rare types are found among many others, in order', () => {
    const fixture = new JournalFixture();
    const expected: number[] = [];
    for (let i = 0; i < 200; i += 1) {
      const entry_type = i % 50 === 7 ? 'ShellSession' : i % 50 === 3 ? 'ExecLog' : 'Commit';
      const sequence = fixture.append(anEntry({ entry_type }));
      if (entry_type !== 'Commit') expected.push(sequence);
    }
    expect(found(fixture, { entry_types: ['ShellSession', 'ExecLog'] })).toEqual(expected);
    expect(found(fixture, { entry_types: ['ShellSession', 'ExecLog'], limit: 3 })).toEqual(
      expected.slice(-3),
    );
    expect(found(fixture, { entry_types: ['ExecLog', 'Commit'], limit: 2 })).toEqual([198, 199]);
  });

  it('that arrive while a list is being read do not show in it', () => {
    const fixture = mixed();
    const iterator = fixture.journal.entries({ author: 'bob' })[Symbol.iterator]();
    expect(iterator.next().value).toMatchObject({ sequence: 2 });
    fixture.append(anEntry({ author: anIdentity({ principal: 'bob' }) }));
    expect([iterator.next().value, iterator.next().value]).toMatchObject([{ sequence: 3 }, { sequence: 5 }]);
    expect(iterator.next().done).toBe(true);
  });

  it('beyond the log are undefined', () => {
    const { journal } = mixed();
    expect(journal.entry(seq(6))).toBeUndefined();
    expect(new JournalState().entry(seq(0))).toBeUndefined();
  });
});

describe('the system identity', () => {
  it('is a Service', () => {
    expect(SYSTEM_IDENTITY).toEqual({
      principal: 'system:journal',
      principal_type: 'Service',
      role: 'system',
    });
  });
});
