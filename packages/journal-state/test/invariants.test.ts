import { describe, expect, it } from 'vitest';
import { JournalState, TTL_SECONDS_MAX, TTL_SECONDS_MIN } from '@pact-journal/journal-state';
import type { JournalCommand } from '@pact-journal/journal-state';
import {
  JournalFixture,
  TEST_EPOCH,
  aCommit,
  aPolicy,
  aRollback,
  anEmergencyEnd,
  anEmergencyStart,
  anEntry,
  anIdentity,
  anOperation,
  anOverlay,
  node,
  seq,
  vcluster,
} from '@pact-journal/journal-state/testing';
import { append, refusal } from './support.ts';

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
