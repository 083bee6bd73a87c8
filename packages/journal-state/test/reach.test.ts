import { describe, expect, it } from 'vitest';
import type { Scope } from '@pact-journal/journal-state';
import type { JournalFixture } from '@pact-journal/journal-state/testing';
import { aCommit, aDelta, aRollback, node, vcluster } from '@pact-journal/journal-state/testing';
import { fleet, ml, n1 } from './fleet.ts';

describe('the nodes that a change reaches', () => {
  const reached = (fixture: JournalFixture, scope: Scope, ...keys: string[]): number =>
    fixture.journal.nodesReached(
      scope,
      aDelta({ kernel: Object.fromEntries(keys.map((key) => [key, 'new'])) }),
    );

  it('are those of the scope, all of them for a global one, and the one for a node', () => {
    const fixture = fleet();
    fixture.assign('n2', 'ml');
    fixture.append(aCommit(node('n3'), { kernel: { own: '1' } }));
    expect(reached(fixture, ml, 'a')).toBe(2);
    expect(reached(fixture, 'Global', 'a', 'b')).toBe(3);
    expect(reached(fixture, n1, 'a')).toBe(1);
    expect(reached(fixture, vcluster('other'), 'a')).toBe(0);
    expect(reached(fixture, ml)).toBe(0);
  });

  it('leave out a node that says something about all of the keys itself, be it the same, or that it has none', () => {
    const fixture = fleet();
    fixture.assign('n2', 'ml');
    fixture.append(aCommit(ml, { kernel: { a: '1', b: '1' } }));
    fixture.append(aCommit(n1, { kernel: { a: '1', b: null } }));
    expect(reached(fixture, ml, 'a', 'b')).toBe(1);
    expect(reached(fixture, ml, 'a', 'b', 'c')).toBe(2);
    expect(reached(fixture, 'Global', 'a')).toBe(0);
  });

  it('leave out those of a virtual cluster that says something about all of the keys, with what their nodes add', () => {
    const fixture = fleet();
    fixture.assign('n2', 'ml');
    fixture.assign('n3', 'web');
    fixture.append(aCommit(ml, { kernel: { a: '1' } }));
    fixture.append(aCommit(n1, { kernel: { a: '2', b: '2' } }));
    expect(reached(fixture, 'Global', 'a')).toBe(1);
    expect(reached(fixture, 'Global', 'a', 'b')).toBe(2);
    expect(reached(fixture, 'Global', 'a', 'b', 'c')).toBe(3);
  });

  it('are reached again once a rollback has the node say nothing', () => {
    const fixture = fleet();
    const before = fixture.append(aCommit(n1, { kernel: { z: '1' } }));
    fixture.append(aCommit(n1, { kernel: { a: '1' } }));
    expect(reached(fixture, ml, 'a')).toBe(0);
    fixture.append(aRollback(n1, before));
    expect(reached(fixture, ml, 'a')).toBe(1);
  });
});
