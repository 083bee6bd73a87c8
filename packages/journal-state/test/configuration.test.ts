import { describe, expect, it } from 'vitest';
import {
  TTL_SECONDS_MAX,
  TTL_SECONDS_MIN,
  changesConfiguration,
  ENTRY_TYPES,
  emptyDelta,
} from '@pact-journal/journal-state';
import type { EffectiveConfig, Scope } from '@pact-journal/journal-state';
import type { JournalFixture } from '@pact-journal/journal-state/testing';
import {
  aCommit,
  aDelta,
  aRollback,
  anEntry,
  anIdentity,
  at,
  node,
  seq,
  vcluster,
} from '@pact-journal/journal-state/testing';
import { fleet, ml, n1 } from './fleet.ts';

const kernelOf = (config: EffectiveConfig): Record<string, string | null> =>
  Object.fromEntries([...config.kernel].map(([key, item]) => [key, item.value]));
const kernel = (fixture: JournalFixture, scope: Scope): Record<string, string | null> =>
  kernelOf(fixture.journal.effectiveConfig(scope));

describe('effective configuration', () => {
  it('is global, then the vCluster, then the node: the later scope wins by key', () => {
    const fixture = fleet();
    fixture.append(aCommit(n1, { kernel: { c: 'node' } }));
    fixture.append(aCommit(ml, { kernel: { b: 'vcluster', c: 'vcluster' } }));
    fixture.append(aCommit('Global', { kernel: { a: 'global', b: 'global', c: 'global' } }));
    expect(kernel(fixture, 'Global')).toEqual({ a: 'global', b: 'global', c: 'global' });
    expect(kernel(fixture, ml)).toEqual({ a: 'global', b: 'vcluster', c: 'vcluster' });
    expect(kernel(fixture, n1)).toEqual({ a: 'global', b: 'vcluster', c: 'node' });
    expect(kernel(fixture, vcluster('other'))).toEqual({ a: 'global', b: 'global', c: 'global' });
  });

  it('lacks a key that a narrower scope removes, until that scope sets it again', () => {
    const fixture = fleet();
    fixture.append(aCommit('Global', { kernel: { a: '1', b: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: null } }));
    expect([kernel(fixture, 'Global'), kernel(fixture, ml), kernel(fixture, n1)]).toEqual([
      { a: '1', b: '1' },
      { b: '1' },
      { b: '1' },
    ]);
    fixture.append(aCommit(n1, { kernel: { a: '2' } }));
    expect(kernel(fixture, n1)).toEqual({ a: '2', b: '1' });
  });

  it('follows a node to its vCluster, and back in time to the one it had', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: 'ml' } }));
    fixture.append(aCommit(vcluster('hpc'), { kernel: { a: 'hpc' } }));
    fixture.assign('n1', 'hpc');
    fixture.append(anEntry());
    fixture.assign('n1', null);
    expect(kernel(fixture, n1)).toEqual({});
    const past = [0, 1, 2].map((sequence) => kernelOf(fixture.journal.effectiveConfigAt(n1, seq(sequence))));
    expect(past).toEqual([{ a: 'ml' }, { a: 'ml' }, { a: 'hpc' }]);
  });

  it('is ordered by code units, whatever the order of the commits', () => {
    const fixture = fleet();
    fixture.append(aCommit('Global', { files: { '/b': 'x', '/Z': 'x', '/ä': 'x' } }));
    fixture.append(aCommit(ml, { files: { '/a': 'x', '/z': 'x', '/B': 'x' } }));
    expect([...fixture.journal.effectiveConfig(ml).files.keys()]).toEqual([
      '/B',
      '/Z',
      '/a',
      '/b',
      '/z',
      '/ä',
    ]);
  });

  it('keeps the attributes of mounts and files', () => {
    const fixture = fleet();
    const spec = { fs_type: 'nfs4', source: 'srv:/home', options: 'ro,hard', read_only: true };
    const item = { value: 'srv:/home', spec };
    fixture.append(
      aCommit(ml, {
        mounts: { '/home': item },
        files: { '/etc/motd': { value: 'sha256:1', spec: { mode: 0o644 } } },
      }),
    );
    const config = fixture.journal.effectiveConfig(ml);
    expect(config.mounts.get('/home')).toEqual({ value: 'srv:/home', spec, set_by: 0 });
    expect(config.files.get('/etc/motd')).toEqual({ value: 'sha256:1', spec: { mode: 0o644 }, set_by: 0 });
  });

  it.each(ENTRY_TYPES.filter((type) => !changesConfiguration(type)))(
    'is not changed by %s entries',
    (entry_type) => {
      const fixture = fleet();
      const author = anIdentity();
      fixture.append(aCommit(ml, { kernel: { a: '1' } }));
      if (entry_type === 'EmergencyEnd')
        fixture.append(anEntry({ entry_type: 'EmergencyStart', scope: ml, author }));
      const version = fixture.journal.vclusterVersion('ml');
      fixture.append(anEntry({ entry_type, scope: ml, state_delta: aDelta({ kernel: { a: '2' } }), author }));
      expect(kernel(fixture, ml)).toEqual({ a: '1' });
      expect(fixture.journal.vclusterVersion('ml')).toBe(version);
    },
  );

  it('is shared between two questions, and new after a change', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1' } }));
    const first = fixture.journal.effectiveConfig(ml);
    expect(fixture.journal.effectiveConfig(ml)).toBe(first);
    fixture.append(aCommit('Global', { kernel: { b: '1' } }));
    expect(kernel(fixture, ml)).toEqual({ a: '1', b: '1' });
  });
});

describe('the version of a vCluster', () => {
  it('is the latest entry that affects it: its own or global, configuration or policy', () => {
    const fixture = fleet();
    expect(fixture.journal.knowsVCluster('ml')).toBe(true);
    expect(fixture.journal.vclusterVersion('ml')).toBeUndefined();
    expect(fixture.journal.overlayInput('ml')).toBeUndefined();
    fixture.append(aCommit(vcluster('hpc'), { kernel: { a: '1' } }));
    expect(fixture.journal.vclusterVersion('ml')).toBeUndefined();
    fixture.append(aCommit('Global', { kernel: { a: '1' } }));
    expect(fixture.journal.vclusterVersion('ml')).toBe(1);
    fixture.append(aCommit(n1, { kernel: { a: '1' } }));
    expect(fixture.journal.vclusterVersion('ml')).toBe(1);
    fixture.append(aCommit(ml, {}));
    expect(fixture.journal.vclusterVersion('ml')).toBe(3);
    expect(fixture.journal.vclusterVersion('hpc')).toBe(1);
    expect(fixture.journal.vclusterVersion('unknown')).toBeUndefined();
    expect([...fixture.journal.vclusters()]).toEqual(['hpc', 'ml']);
  });

  it('goes with a list of overlays that became stale', () => {
    const fixture = fleet();
    const stale = (scope: Scope): unknown =>
      fixture.try({ type: 'AppendEntry', entry: aCommit(scope, { kernel: { a: '1' } }) }).changes
        .staleOverlays;
    expect([stale('Global'), stale(ml), stale(n1)]).toEqual(['all', ['ml'], []]);
  });
});

describe('a node delta', () => {
  it('holds what the node declares itself, relative to its vCluster', () => {
    const fixture = fleet();
    fixture.append(aCommit('Global', { kernel: { a: '1', b: '1' } }));
    fixture.append(aCommit(ml, { kernel: { b: '2', c: '2' } }));
    fixture.append(aCommit(n1, { kernel: { b: '3', c: null, d: '3', e: null } }));
    const { delta, version, node_id } = fixture.journal.nodeDelta('n1');
    expect([node_id, version]).toEqual(['n1', 2]);
    expect(delta).toEqual({
      ...emptyDelta(),
      kernel: [
        { action: 'Modify', key: 'b', value: '3', previous: '2' },
        { action: 'Remove', key: 'c', value: null, previous: '2' },
        { action: 'Add', key: 'd', value: '3', previous: null },
        { action: 'Remove', key: 'e', value: null, previous: null },
      ],
    });
  });

  it('removes what the vCluster does not have too: the node may boot into another one', () => {
    const fixture = fleet();
    fixture.append(aCommit({ VCluster: 'other' }, { kernel: { a: '1' } }));
    fixture.append(aCommit(n1, { kernel: { a: null } }));
    expect(fixture.journal.nodeDelta('n1').delta.kernel).toEqual([
      { action: 'Remove', key: 'a', value: null, previous: null },
    ]);
  });

  it('follows changes of the vCluster and of the assignment', () => {
    const fixture = fleet();
    fixture.append(aCommit(n1, { kernel: { a: '1' } }));
    const actions = (): unknown =>
      fixture.journal.nodeDelta('n1').delta.kernel.map((item) => [item.action, item.previous]);
    expect(actions()).toEqual([['Add', null]]);
    fixture.append(aCommit(ml, { kernel: { a: '0' } }));
    expect(actions()).toEqual([['Modify', '0']]);
    fixture.assign('n1', null);
    expect(actions()).toEqual([['Add', null]]);
    fixture.append(aCommit('Global', { kernel: { a: 'g' } }));
    expect(actions()).toEqual([['Modify', 'g']]);
  });

  it('is empty, at version -1, for a node that has none', () => {
    expect(fleet().journal.nodeDelta('n1')).toEqual({ node_id: 'n1', version: -1, delta: emptyDelta() });
    expect(fleet().journal.nodeDelta('unknown').version).toBe(-1);
  });

  it('is not moved by records that change nothing', () => {
    const fixture = fleet();
    fixture.append(aCommit(n1, { kernel: { a: '1' } }));
    fixture.append(anEntry({ entry_type: 'DriftDetected', scope: n1 }));
    expect(fixture.journal.nodeDelta('n1').version).toBe(0);
  });
});

describe('a rollback', () => {
  it('brings back what was in effect after its parent, and leaves the later entries in the log', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1', b: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: '2', b: null, c: '2' } }));
    fixture.append(aCommit(ml, { kernel: { a: '3' } }));
    fixture.append(aRollback(ml, 0));
    expect(kernel(fixture, ml)).toEqual({ a: '1', b: '1' });
    expect(fixture.journal.effectiveConfig(ml).kernel.get('a')?.set_by).toBe(0);
    expect(fixture.journal.entryCount).toBe(4);
    expect(fixture.journal.vclusterVersion('ml')).toBe(3);
  });

  it('can be rolled back itself', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: '2', c: '2' } }));
    fixture.append(aRollback(ml, 0));
    fixture.append(aRollback(ml, 1));
    expect(kernel(fixture, ml)).toEqual({ a: '2', c: '2' });
    fixture.append(aRollback(ml, 2));
    expect(kernel(fixture, ml)).toEqual({ a: '1' });
  });

  it('holds what a wider scope has changed since at its old value, in this scope only', () => {
    const fixture = fleet();
    fixture.append(aCommit('Global', { kernel: { a: '1', b: '1' } }));
    fixture.append(aCommit(ml, { kernel: { m: '1' } }));
    fixture.append(aCommit('Global', { kernel: { a: '2', b: null, c: '2' } }));
    fixture.append(aCommit(ml, { kernel: { m: '2' } }));
    fixture.append(aRollback(ml, 1));
    expect(kernel(fixture, ml)).toEqual({ a: '1', b: '1', m: '1' });
    expect(kernel(fixture, 'Global')).toEqual({ a: '2', c: '2' });
    expect(kernel(fixture, vcluster('hpc'))).toEqual({ a: '2', c: '2' });
    fixture.append(aRollback(ml, 3));
    expect(kernel(fixture, ml)).toEqual({ a: '2', c: '2', m: '2' });
  });

  it('of a node brings back what it had under the vCluster that it belonged to then', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: 'ml' } }));
    fixture.append(aCommit(vcluster('hpc'), { kernel: { a: 'hpc', b: 'hpc' } }));
    fixture.assign('n1', 'hpc');
    fixture.append(aRollback(n1, 1));
    expect(kernel(fixture, n1)).toEqual({ a: 'ml' });
  });

  it('takes a delta that is sent along for a note: the parent decides', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: '2' } }));
    fixture.append(aRollback(ml, 0, { state_delta: aDelta({ kernel: { a: '9', z: '9' } }) }));
    expect(kernel(fixture, ml)).toEqual({ a: '1' });
  });

  it('and every other entry tells what it changed, with the values before', () => {
    const fixture = fleet();
    fixture.append(aCommit('Global', { kernel: { g: '1' } }));
    fixture.append(aCommit(ml, { kernel: { b: '1', a: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: '2', g: null, c: null } }));
    fixture.append(
      anEntry({ entry_type: 'DriftDetected', scope: n1, state_delta: aDelta({ kernel: { a: '1' } }) }),
    );
    expect(fixture.journal.effectOf(seq(2)).kernel).toEqual([
      { action: 'Modify', key: 'a', value: '2', previous: '1' },
      { action: 'Remove', key: 'c', value: null, previous: null },
      { action: 'Remove', key: 'g', value: null, previous: null },
    ]);
    expect(fixture.journal.effectOf(seq(3))).toEqual(emptyDelta());
    expect(() => fixture.journal.effectOf(seq(4))).toThrow('entry 4 does not exist');
  });

  it('tells what it changed', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1', b: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: '2', b: null, c: '2' } }));
    fixture.append(aRollback(ml, 0));
    expect(fixture.journal.effectOf(seq(2)).kernel).toEqual([
      { action: 'Modify', key: 'a', value: '1', previous: '2' },
      { action: 'Add', key: 'b', value: '1', previous: null },
      { action: 'Remove', key: 'c', value: null, previous: '2' },
    ]);
  });
});

describe('the end of a ttl', () => {
  const short = { ttl_seconds: TTL_SECONDS_MIN };

  it('is a Rollback of those keys by system:journal, due when the ttl has run out', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: '2', b: '2' } }, short));
    expect(fixture.journal.expiresAt(seq(1))).toBe(at(2 + TTL_SECONDS_MIN));
    expect(fixture.journal.nextExpiration).toBe(at(2 + TTL_SECONDS_MIN));
    expect(fixture.journal.dueExpirations(at(1 + TTL_SECONDS_MIN))).toEqual([]);
    expect(kernel(fixture, ml)).toEqual({ a: '2', b: '2' });
    fixture.advance(TTL_SECONDS_MIN);
    expect(fixture.expire()).toEqual([2]);
    expect(kernel(fixture, ml)).toEqual({ a: '1' });
    expect(fixture.journal.entry(seq(2))).toMatchObject({
      entry_type: 'Rollback',
      scope: ml,
      author: { principal: 'system:journal', principal_type: 'Service' },
      expires: 1,
    });
    expect(fixture.journal.nextExpiration).toBeUndefined();
    expect(fixture.journal.expiresAt(seq(1))).toBeUndefined();
  });

  it('happens once, however often it is proposed', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1' } }, short));
    fixture.advance(TTL_SECONDS_MIN);
    const [command] = fixture.journal.dueExpirations(fixture.time);
    if (command === undefined) throw new Error('one is due');
    const first = fixture.try(command);
    const second = fixture.try(command);
    expect([first.result, second.result]).toEqual([first.result, first.result]);
    expect(second.changes).toEqual({ staleOverlays: [] });
    expect(fixture.journal.entryCount).toBe(2);
  });

  it('leaves alone what later entries have set', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1', b: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: '2', b: '2' } }, short));
    fixture.append(aCommit(ml, { kernel: { b: '3' } }));
    fixture.advance(TTL_SECONDS_MIN);
    fixture.expire();
    expect(kernel(fixture, ml)).toEqual({ a: '1', b: '3' });
    expect(fixture.journal.history('kernel', 'b').map((change) => change.sequence)).toEqual([0, 1, 2]);
  });

  it('does not bring back a value whose own ttl has ended meanwhile', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: 'short' } }, short));
    fixture.append(aCommit(ml, { kernel: { a: 'long' } }, { ttl_seconds: TTL_SECONDS_MAX }));
    fixture.advance(TTL_SECONDS_MIN);
    fixture.expire();
    expect(kernel(fixture, ml)).toEqual({ a: 'long' });
    fixture.advance(TTL_SECONDS_MAX);
    fixture.expire();
    expect(kernel(fixture, ml)).toEqual({ a: '1' });
  });

  it('also ends a removal', () => {
    const fixture = fleet();
    fixture.append(aCommit('Global', { kernel: { a: '1' } }));
    fixture.append(aCommit(ml, { kernel: { a: null } }, short));
    expect(kernel(fixture, ml)).toEqual({});
    fixture.advance(TTL_SECONDS_MIN);
    fixture.expire();
    expect(kernel(fixture, ml)).toEqual({ a: '1' });
  });

  it('comes in order of time', () => {
    const fixture = fleet();
    const ttls = [3000, 1000, 2000, 1500, 5000, 900];
    for (const [index, ttl_seconds] of ttls.entries())
      fixture.append(aCommit(ml, { kernel: { [`k${String(index)}`]: '1' } }, { ttl_seconds }));
    const due = (seconds: number): unknown =>
      fixture.journal
        .dueExpirations(at(seconds))
        .map((command) => (command.type === 'AppendEntry' ? command.entry.expires : command));
    expect(due(899)).toEqual([]);
    expect(due(2010)).toEqual([5, 1, 3, 2]);
    expect(due(1e6)).toEqual([5, 1, 3, 2, 0, 4]);
    expect(fixture.journal.dueExpirations(at(1e6), 2)).toHaveLength(2);
  });

  it('cannot be called early, by others, for another scope or for an entry that has no ttl', () => {
    const fixture = fleet();
    fixture.append(aCommit(ml, { kernel: { a: '1' } }, short));
    fixture.append(aCommit(ml, { kernel: { b: '1' } }));
    const [command] = fixture.journal.dueExpirations(at(1e6));
    if (command?.type !== 'AppendEntry') throw new Error('one is due');
    const { entry } = command;
    const code = (over: object): unknown => {
      const { result } = fixture.try({ type: 'AppendEntry', entry: { ...entry, ...over } });
      return result.type === 'ValidationError' ? result.code : result.type;
    };
    expect(code({})).toBe('ttlOutOfRange');
    fixture.advance(TTL_SECONDS_MIN);
    expect(code({ author: anIdentity() })).toBe('principalNotAllowed');
    expect(code({ scope: n1 })).toBe('malformed');
    expect(code({ expires: 1 })).toBe('parentUnknown');
    expect(code({ entry_type: 'Commit' })).toBe('malformed');
    expect(code({})).toBe('EntryAppended');
  });
});

describe('questions about the past', () => {
  function story(): JournalFixture {
    const fixture = fleet();
    fixture.append(aCommit('Global', { kernel: { a: '1' } }, { message: 'baseline' }));
    fixture.append(aCommit(ml, { kernel: { a: '2' } }, { author: anIdentity({ principal: 'bob' }) }));
    fixture.append(aCommit(n1, { kernel: { a: '3' } }, { ttl_seconds: TTL_SECONDS_MIN }));
    fixture.append(aCommit(ml, { kernel: { a: '4', z: '4' } }));
    fixture.append(aRollback(ml, 1));
    return fixture;
  }

  it('effective configuration as of any sequence', () => {
    const fixture = story();
    const past = [0, 1, 2, 3, 4].map((sequence) =>
      kernelOf(fixture.journal.effectiveConfigAt(ml, seq(sequence))),
    );
    expect(past).toEqual([{ a: '1' }, { a: '2' }, { a: '2' }, { a: '4', z: '4' }, { a: '2' }]);
    expect(() => fixture.journal.effectiveConfigAt(ml, seq(5))).toThrow(
      'entry 5 does not exist: the newest entry is 4',
    );
  });

  it('diff between two sequences, or to now', () => {
    const fixture = story();
    expect(fixture.journal.diff(ml, seq(1), seq(3)).kernel).toEqual([
      { action: 'Modify', key: 'a', value: '4', previous: '2' },
      { action: 'Add', key: 'z', value: '4', previous: null },
    ]);
    expect(fixture.journal.diff(ml, seq(3)).kernel).toEqual([
      { action: 'Modify', key: 'a', value: '2', previous: '4' },
      { action: 'Remove', key: 'z', value: null, previous: '4' },
    ]);
    expect(fixture.journal.diff(ml, seq(1))).toEqual(emptyDelta());
  });

  it('history of a key, in one scope or in all', () => {
    const { journal } = story();
    const lines = (scope?: Scope): unknown =>
      journal
        .history('kernel', 'a', scope)
        .map((change) => [change.sequence, change.action, change.value, change.restored_from]);
    expect(lines(ml)).toEqual([
      [1, 'Add', '2', undefined],
      [3, 'Modify', '4', undefined],
      [4, 'Modify', '2', 1],
    ]);
    expect(journal.history('kernel', 'a').map((change) => change.sequence)).toEqual([0, 1, 2, 3, 4]);
    expect(journal.history('kernel', 'z', ml).map((change) => change.action)).toEqual(['Add', 'Unset']);
    expect(journal.history('kernel', 'nothing')).toEqual([]);
  });

  it('blame: which scope, entry, author and time set each key', () => {
    const { journal } = story();
    expect([...journal.blame(n1)]).toMatchObject([
      { kind: 'kernel', key: 'a', value: '3', scope: n1, set_by: 2, expires_at: at(3 + TTL_SECONDS_MIN) },
    ]);
    expect([...journal.blame(ml)]).toMatchObject([
      {
        key: 'a',
        value: '2',
        scope: ml,
        set_by: 1,
        author: { principal: 'bob' },
        timestamp: at(2),
        restored_by: 4,
      },
    ]);
    expect([...journal.blame(vcluster('hpc'))]).toMatchObject([
      { scope: 'Global', set_by: 0, message: 'baseline' },
    ]);
  });

  it('nodes that deviate from their vCluster, with their deltas and expiry', () => {
    const fixture = story();
    fixture.assign('n2', 'ml');
    fixture.append(aCommit(node('n2'), { kernel: { a: '2' } }));
    fixture.append(aCommit(node('n3'), { kernel: { x: '1' } }));
    const deviating = [...fixture.journal.deviatingNodes()];
    expect(deviating).toMatchObject([
      { node_id: 'n1', vcluster_id: 'ml', deviations: 1, expires_at: at(3 + TTL_SECONDS_MIN) },
      { node_id: 'n3', vcluster_id: null, deviations: 1, expires_at: null },
    ]);
    expect(deviating[0]?.delta.kernel).toEqual([{ action: 'Modify', key: 'a', value: '3', previous: '2' }]);
    expect([...fixture.journal.deviatingNodes('ml')].map((found) => found.node_id)).toEqual(['n1']);
    expect([...fixture.journal.nodes()].map((found) => [found.node_id, found.deviations])).toEqual([
      ['n1', 1],
      ['n2', 0],
      ['n3', 1],
    ]);
  });
});
