import { describe, expect, it } from 'vitest';
import { JournalState } from '@pact-journal/journal-state';
import type { ConfigState, EntryType } from '@pact-journal/journal-state';
import {
  JournalFixture,
  TEST_EPOCH,
  aPolicy,
  aRollback,
  anEmergencyEnd,
  anEmergencyStart,
  anEntry,
  at,
  node,
  vcluster,
} from '@pact-journal/journal-state/testing';

describe('a node', () => {
  it('is unknown until something names it, then only observed', () => {
    const fixture = new JournalFixture();
    expect(fixture.journal.nodeState('n1')).toBeUndefined();
    fixture.assign('n1', 'ml');
    fixture.append(anEntry({ scope: node('n2'), entry_type: 'ExecLog' }));
    expect([...fixture.journal.nodes()]).toEqual([
      { node_id: 'n1', vcluster_id: 'ml', config_state: 'ObserveOnly', deviations: 0 },
      { node_id: 'n2', vcluster_id: null, config_state: 'ObserveOnly', deviations: 0 },
    ]);
    expect(fixture.journal.nodeCount).toBe(2);
  });

  it.each(['ObserveOnly', 'Committed', 'Drifted', 'Converging', 'Emergency'] as const)(
    'can be reported as %s',
    (state) => {
      const fixture = new JournalFixture();
      fixture.setState('n1', state);
      expect(fixture.journal.nodeState('n1')).toBe(state);
    },
  );

  it.each([
    ['Commit', 'Committed'],
    ['BootConfig', 'Committed'],
    ['AutoConverge', 'Committed'],
    ['DriftDetected', 'Drifted'],
    ['CapabilityChange', 'Converging'],
    ['ExecLog', 'Converging'],
    ['ShellSession', 'Converging'],
    ['ServiceLifecycle', 'Converging'],
  ] as [EntryType, ConfigState][])('is, after a %s entry of its own, %s', (entry_type, state) => {
    const fixture = new JournalFixture();
    fixture.setState('n1', 'Converging');
    fixture.append(anEntry({ scope: node('n1'), entry_type }));
    expect(fixture.journal.nodeState('n1')).toBe(state);
  });

  it('is Committed after a rollback of its own', () => {
    const fixture = new JournalFixture();
    fixture.append(anEntry({ scope: node('n1'), entry_type: 'DriftDetected' }));
    fixture.append(aRollback(node('n1'), 0));
    expect(fixture.journal.nodeState('n1')).toBe('Committed');
  });

  it('is not touched by entries of wider scopes', () => {
    const fixture = new JournalFixture();
    fixture.assign('n1', 'ml');
    fixture.append(anEntry({ scope: vcluster('ml') }));
    fixture.append(anEntry());
    expect(fixture.journal.nodeState('n1')).toBe('ObserveOnly');
  });

  it('has its place in the list in the digest: replicas list nodes in the same order', () => {
    const [one, other] = [new JournalFixture(), new JournalFixture()];
    for (const id of ['n1', 'n2']) one.setState(id, 'ObserveOnly');
    for (const id of ['n2', 'n1']) other.setState(id, 'ObserveOnly');
    expect(one.journal.digest()).not.toBe(other.journal.digest());
  });

  it('belongs to one vCluster at a time', () => {
    const fixture = new JournalFixture();
    fixture.assign('n1', 'ml');
    fixture.assign('n2', 'ml');
    fixture.assign('n1', 'hpc');
    expect([[...fixture.journal.nodesOf('ml')], [...fixture.journal.nodesOf('hpc')]]).toEqual([
      ['n2'],
      ['n1'],
    ]);
    fixture.assign('n1', null);
    expect(fixture.journal.assignment('n1')).toBeUndefined();
    expect(fixture.journal.knowsVCluster('hpc')).toBe(true);
  });

  it('changes are told to those who follow, repetitions are not', () => {
    const { journal } = new JournalFixture();
    const apply = (command: object): unknown => journal.apply({ time: TEST_EPOCH, command } as never).changes;
    expect(apply({ type: 'AssignNode', node_id: 'n1', vcluster_id: 'ml' })).toEqual({
      staleOverlays: [],
      assignment: 'n1',
    });
    expect(apply({ type: 'AssignNode', node_id: 'n1', vcluster_id: 'ml' })).toEqual({ staleOverlays: [] });
    expect(apply({ type: 'UpdateNodeState', node_id: 'n1', state: 'Drifted' })).toEqual({
      staleOverlays: [],
      nodeState: 'n1',
    });
    expect(apply({ type: 'UpdateNodeState', node_id: 'n1', state: 'Drifted' })).toEqual({
      staleOverlays: [],
    });
  });
});

describe('an emergency', () => {
  function fleet(): JournalFixture {
    const fixture = new JournalFixture();
    for (const [id, vclusterId] of [
      ['n1', 'ml'],
      ['n2', 'ml'],
      ['n3', 'hpc'],
    ] as const)
      fixture.assign(id, vclusterId);
    fixture.setState('n1', 'Committed');
    fixture.setState('n2', 'Drifted');
    return fixture;
  }
  const states = (fixture: JournalFixture): unknown =>
    ['n1', 'n2', 'n3'].map((id) => fixture.journal.nodeState(id));

  it.each([
    [node('n1'), ['Emergency', 'Drifted', 'ObserveOnly']],
    [vcluster('ml'), ['Emergency', 'Emergency', 'ObserveOnly']],
    ['Global' as const, ['Emergency', 'Emergency', 'Emergency']],
  ])('of %j sets its nodes to Emergency, and its end restores them', (scope, during) => {
    const fixture = fleet();
    const before = states(fixture);
    const start = fixture.try({ type: 'AppendEntry', entry: anEmergencyStart(scope) });
    expect(start.changes.emergency).toEqual(scope);
    expect(states(fixture)).toEqual(during);
    fixture.append(anEmergencyEnd(scope));
    expect(states(fixture)).toEqual(before);
  });

  it('covers a node that joins its scope while it lasts', () => {
    const fixture = fleet();
    fixture.append(anEmergencyStart(vcluster('ml')));
    fixture.assign('n3', 'ml');
    expect(fixture.journal.nodeState('n3')).toBe('Emergency');
    fixture.assign('n3', 'hpc');
    expect(fixture.journal.nodeState('n3')).toBe('ObserveOnly');
  });

  it('keeps what a node reports meanwhile for its end', () => {
    const fixture = fleet();
    fixture.append(anEmergencyStart(vcluster('ml')));
    fixture.setState('n1', 'Converging');
    expect(fixture.journal.nodeState('n1')).toBe('Emergency');
    fixture.append(anEmergencyEnd(vcluster('ml')));
    expect(fixture.journal.nodeState('n1')).toBe('Converging');
  });

  it('is ended in the scope in which it was started', () => {
    const fixture = fleet();
    fixture.append(anEmergencyStart(vcluster('ml')));
    const { result } = fixture.try({ type: 'AppendEntry', entry: anEmergencyEnd(node('n1')) });
    expect(result).toMatchObject({
      code: 'noEmergency',
      reason: expect.stringContaining('vcluster ml is to be ended as such'),
    });
    fixture.append(anEmergencyEnd(vcluster('ml')));
    expect(fixture.try({ type: 'AppendEntry', entry: anEmergencyEnd(vcluster('ml')) }).result).toMatchObject({
      code: 'noEmergency',
    });
  });

  it.each([vcluster('ml'), node('n1'), 'Global' as const])(
    'of %j needs a policy that allows it; ending does not',
    (scope) => {
      const fixture = fleet();
      fixture.append(anEmergencyStart(scope));
      fixture.setPolicy(aPolicy('ml', { emergency_allowed: false }));
      fixture.append(anEmergencyEnd(scope));
      const { result } = fixture.try({ type: 'AppendEntry', entry: anEmergencyStart(scope) });
      expect(result).toMatchObject({
        code: 'emergencyNotAllowed',
        reason: expect.stringContaining('vcluster ml'),
      });
      fixture.append(anEmergencyStart(node('n3')));
    },
  );

  it('that outlives its window is stale, and goes on until a person ends it', () => {
    const fixture = fleet();
    fixture.setPolicy(aPolicy('ml', { emergency_window_seconds: 3600 }));
    const start = fixture.time;
    fixture.append(anEmergencyStart(node('n1'), { emergency_reason: 'smoke' }));
    fixture.append(anEmergencyStart(vcluster('hpc'), { ttl_seconds: 1000 }));
    const [first, second] = fixture.journal.emergencies(at(3600));
    expect(first).toMatchObject({ scope: node('n1'), reason: 'smoke', started_at: start, stale: false });
    expect(second).toMatchObject({ scope: vcluster('hpc'), stale: true });
    expect(fixture.journal.emergencies(at(1e6)).map((emergency) => emergency.stale)).toEqual([true, true]);
    fixture.advance(1e6);
    expect(fixture.expire()).toEqual([]);
    expect(fixture.journal.nodeState('n1')).toBe('Emergency');
  });
});

describe('summaries', () => {
  it('count node states by vCluster', () => {
    const fixture = new JournalFixture();
    fixture.assign('n1', 'ml');
    fixture.assign('n2', 'ml');
    fixture.setState('n3', 'Converging');
    fixture.append(anEntry({ scope: node('n2'), entry_type: 'DriftDetected' }));
    const none = { ObserveOnly: 0, Committed: 0, Drifted: 0, Converging: 0, Emergency: 0 };
    expect(fixture.journal.stateSummaries()).toEqual([
      { vcluster_id: null, nodes: 1, states: { ...none, Converging: 1 } },
      { vcluster_id: 'ml', nodes: 2, states: { ...none, ObserveOnly: 1, Drifted: 1 } },
    ]);
  });

  it('list drifted nodes with the newest report', () => {
    const fixture = new JournalFixture();
    fixture.assign('n1', 'ml');
    fixture.append(anEntry({ scope: node('n1'), entry_type: 'DriftDetected' }));
    const since = fixture.time;
    fixture.append(anEntry({ scope: node('n1'), entry_type: 'DriftDetected' }));
    fixture.append(anEntry({ scope: node('n1'), entry_type: 'ExecLog' }));
    fixture.setState('n2', 'Drifted');
    expect([...fixture.journal.driftedNodes()]).toEqual([
      { node_id: 'n1', vcluster_id: 'ml', sequence: 1, since },
      { node_id: 'n2', vcluster_id: null, sequence: null, since: null },
    ]);
  });

  it('of an empty journal are empty', () => {
    const journal = new JournalState();
    expect([
      [...journal.nodes()],
      journal.stateSummaries(),
      journal.emergencies(TEST_EPOCH),
      [...journal.vclusters()],
    ]).toEqual([[], [], [], []]);
  });
});
