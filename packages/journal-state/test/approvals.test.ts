import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  APPROVAL_WINDOW_SECONDS,
  SYSTEM_IDENTITY,
  changesConfiguration,
  deltaSize,
} from '@pact-journal/journal-state';
import type { ConfigEntry, JournalCommand, JournalState } from '@pact-journal/journal-state';
import {
  JournalFixture,
  aCommit,
  aDelta,
  aPolicy,
  aRollback,
  aimed,
  anApproval,
  anEmergencyStart,
  anEntry,
  anIdentity,
  at,
  commandLogs,
  node,
  restoreFrom,
  seq,
  vcluster,
} from '@pact-journal/journal-state/testing';

const ML = vcluster('ml');
const kernel = (value: string): Parameters<typeof aCommit>[1] => ({ kernel: { 'vm.x': value } });

/** A journal in which changes of `ml` need a second person. */
function guarded(): JournalFixture {
  const fixture = new JournalFixture();
  fixture.setPolicy(aPolicy('ml', { two_person_approval: true }));
  fixture.assign('n1', 'ml');
  return fixture;
}

const valueIn = ({ journal }: JournalFixture): string | null | undefined =>
  journal.effectiveConfig(ML).kernel.get('vm.x')?.value;

const refusal = (fixture: JournalFixture, command: JournalCommand): unknown => {
  const before = fixture.journal.entryCount;
  const { result } = fixture.try(command);
  expect(fixture.journal.entryCount).toBe(before);
  return result.type === 'ValidationError' ? result.code : result;
};

describe('a vCluster whose policy wants two persons', () => {
  it('keeps a commit without effect until another person approves it, and then has it as one entry', () => {
    const fixture = guarded();
    const asked = fixture.try({ type: 'AppendEntry', entry: aCommit(ML, kernel('1'), { message: 'why' }) });
    expect(asked.result).toEqual({ type: 'EntryAppended', sequence: 1, pending: true });
    expect(asked.changes.staleOverlays).toEqual([]);
    expect(valueIn(fixture)).toBeUndefined();
    expect(fixture.journal.approvals(fixture.time)).toMatchObject([
      { sequence: 1, action: 'commit', scope: ML, requester: anIdentity(), expired: false },
    ]);

    const approved = fixture.try(anApproval(1, { reason: 'looked at it' }));
    expect(approved.result).toEqual({ type: 'EntryAppended', sequence: 2 });
    expect(approved.changes.staleOverlays).toEqual(['ml']);
    expect(valueIn(fixture)).toBe('1');
    expect(fixture.journal.approvals(fixture.time)).toEqual([]);
    expect(fixture.journal.entry(seq(2))).toMatchObject({
      entry_type: 'Commit',
      author: anIdentity(),
      message: 'why',
      decision: {
        outcome: 'approved',
        pending: 1,
        by: { principal: 'grace@example.org' },
        reason: 'looked at it',
      },
    });
    expect(fixture.journal.vclusterVersion('ml')).toBe(2);
  });

  it.each([
    ['its node', aCommit(node('n1'), kernel('1'))],
    ['every node', aCommit('Global', kernel('1'))],
    ['it, by a rollback', aRollback(ML, 0)],
    ['it, by an agent that takes drift over', aCommit(ML, kernel('1'), { entry_type: 'AutoConverge' })],
    ['it, ahead of a first boot', aCommit(ML, kernel('1'), { entry_type: 'BootConfig' })],
  ])('asks for approval of what changes %s', (_what, entry) => {
    expect(guarded().try({ type: 'AppendEntry', entry }).result).toMatchObject({ pending: true });
  });

  it.each([
    ['another vCluster', aCommit(vcluster('hpc'), kernel('1'))],
    ['a node of none', aCommit(node('n9'), kernel('1'))],
    ['what only records', aCommit(ML, kernel('1'), { entry_type: 'DriftDetected' })],
    ['an emergency', anEmergencyStart(ML)],
  ])('lets through %s', (_what, entry) => {
    expect(guarded().try({ type: 'AppendEntry', entry }).result).not.toHaveProperty('pending');
  });

  it('lets agents, and nobody else, take over what its policy says that they may', () => {
    const fixture = new JournalFixture();
    fixture.assign('n1', 'ml');
    fixture.setPolicy(
      aPolicy('ml', {
        two_person_approval: true,
        auto_converge_categories: ['kernel', 'packages'],
        require_ack_categories: ['packages'],
      }),
    );
    const agent = anIdentity({ principal: 'node:n1', principal_type: 'Agent' });
    const isPending = (declared: Parameters<typeof aCommit>[1], author = agent): boolean => {
      const entry = aCommit(node('n1'), declared, { entry_type: 'AutoConverge', author });
      const { result } = fixture.try({ type: 'AppendEntry', entry });
      return result.type === 'EntryAppended' && result.pending === true;
    };
    expect(isPending(kernel('1'))).toBe(false);
    expect(isPending(kernel('1'), anIdentity())).toBe(true);
    expect(isPending({ packages: { slurm: '24' } })).toBe(true);
    expect(isPending({ ...kernel('1'), files: { '/etc/motd': 'sha256:00' } })).toBe(true);
    const question = { action: 'auto_converge', scope: node('n1'), proposed_change: aDelta(kernel('2')) };
    expect(
      fixture.journal.evaluate({ ...question, author: { ...agent, role: 'pact-ops-ml' } }),
    ).toMatchObject({
      authorized: true,
    });
    expect(fixture.journal.evaluate({ ...question, author: anIdentity() })).toMatchObject({
      authorized: false,
      approval: { pending: undefined },
    });
  });

  it('needs two persons to switch the rule off, and then has the new policy under its author', () => {
    const fixture = guarded();
    const { result } = fixture.try({
      type: 'SetPolicy',
      vcluster_id: 'ml',
      policy: aPolicy('ml'),
      author: anIdentity(),
      message: 'too slow',
    });
    expect(result).toMatchObject({ pending: true });
    expect(fixture.journal.policy('ml').two_person_approval).toBe(true);
    expect(fixture.journal.approvals(fixture.time)).toMatchObject([{ action: 'policy_update' }]);

    const { changes } = fixture.try(anApproval(1));
    expect(changes).toMatchObject({ policy: 'ml', staleOverlays: ['ml'] });
    expect(fixture.journal.policy('ml')).toMatchObject({ two_person_approval: false, policy_id: 'ml@2' });
    expect(fixture.journal.entry(seq(2))).toMatchObject({
      entry_type: 'PolicyUpdate',
      author: anIdentity(),
      message: 'too slow',
      parent: 0,
    });
    expect(fixture.journal.policyHistory('ml')).toEqual([0, 2]);
  });

  it('counts a ttl from the approval on', () => {
    const fixture = guarded();
    fixture.append(aCommit(ML, kernel('1'), { ttl_seconds: 900 }));
    expect(fixture.journal.expiresAt(seq(1))).toBeUndefined();
    fixture.advance(600);
    fixture.try(anApproval(1));
    fixture.advance(800);
    expect(fixture.expire()).toEqual([]);
    expect(valueIn(fixture)).toBe('1');
    fixture.advance(200);
    expect(fixture.expire()).toHaveLength(1);
    expect(valueIn(fixture)).toBeUndefined();
  });

  it('gives a repeated request the first answer, pending as it was', () => {
    const fixture = guarded();
    const command: JournalCommand = { type: 'AppendEntry', entry: aCommit(ML, kernel('1')) };
    const first = fixture.try(command, 'r1').result;
    expect(fixture.try(command, 'r1')).toMatchObject({ result: first, repeated: true });
    expect(first).toMatchObject({ pending: true });
    const decision = fixture.try(anApproval(1), 'r2').result;
    expect(fixture.try(anApproval(1), 'r2').result).toEqual(decision);
    expect(fixture.journal.entryCount).toBe(3);
    const restored = restoreFrom(fixture.journal.snapshot());
    expect(restored.apply({ command, request_id: 'r1', time: fixture.time }).result).toEqual(first);
  });

  it('checks what is approved against the journal as it is by then', () => {
    const fixture = guarded();
    fixture.append(aCommit(ML, kernel('1')));
    fixture.try(anApproval(1));
    fixture.append(aRollback(ML, 0));
    fixture.append(aCommit(ML, kernel('2')));
    fixture.try(anApproval(4));
    expect(valueIn(fixture)).toBe('2');
    fixture.try(anApproval(3));
    expect(valueIn(fixture)).toBeUndefined();
  });
});

describe('a decision', () => {
  const waiting = (): JournalFixture => {
    const fixture = guarded();
    fixture.append(aCommit(ML, kernel('1')));
    return fixture;
  };

  it('is never the approval of whoever asked', () => {
    const fixture = waiting();
    expect(refusal(fixture, anApproval(1, { approver: anIdentity({ role: 'another-role' }) }))).toBe(
      'selfApproval',
    );
    expect(fixture.journal.check(anApproval(1, { approver: anIdentity() }))).toMatchObject({
      code: 'selfApproval',
    });
    expect(valueIn(fixture)).toBeUndefined();
  });

  it('is made by a person', () => {
    for (const principal_type of ['Agent', 'Service'] as const) {
      const approver = anIdentity({ principal: 'bot', principal_type });
      expect(refusal(waiting(), anApproval(1, { approver }))).toBe('principalNotAllowed');
    }
  });

  it('is made once', () => {
    const fixture = waiting();
    fixture.try(anApproval(1));
    expect(refusal(fixture, anApproval(1))).toBe('approvalDecided');
    expect(refusal(fixture, anApproval(1, { decision: 'rejected' }))).toBe('approvalDecided');
  });

  it('is about something that waits', () => {
    expect(refusal(waiting(), anApproval(0))).toBe('approvalUnknown');
    expect(refusal(waiting(), anApproval(7))).toBe('approvalUnknown');
  });

  it('may be a rejection, also by whoever asked, which leaves an entry and no effect', () => {
    const fixture = waiting();
    const reason = 'not now';
    expect(
      fixture.try(anApproval(1, { decision: 'rejected', approver: anIdentity(), reason })).result,
    ).toEqual({
      type: 'EntryAppended',
      sequence: 2,
    });
    expect(valueIn(fixture)).toBeUndefined();
    expect(fixture.journal.entry(seq(2))).toMatchObject({
      entry_type: 'PendingApproval',
      parent: 1,
      decision: { outcome: 'rejected', reason },
    });
    expect(refusal(fixture, anApproval(1))).toBe('approvalDecided');
  });

  it('comes too late once the time is up, which the leader then says by one entry', () => {
    const fixture = waiting();
    const expired = anApproval(1, { decision: 'expired', approver: SYSTEM_IDENTITY });
    expect(refusal(fixture, expired)).toBe('approvalNotExpired');
    expect(fixture.journal.nextExpiration).toBe(at(2 + APPROVAL_WINDOW_SECONDS));
    fixture.advance(APPROVAL_WINDOW_SECONDS);
    expect(refusal(fixture, anApproval(1))).toBe('approvalExpired');
    expect(fixture.journal.approvals(fixture.time)).toMatchObject([{ expired: true }]);
    expect(refusal(fixture, anApproval(1, { decision: 'expired' }))).toBe('principalNotAllowed');

    expect(fixture.expire()).toEqual([2]);
    expect(fixture.journal.approvals(fixture.time)).toEqual([]);
    expect(fixture.journal.nextExpiration).toBeUndefined();
    expect(fixture.journal.entry(seq(2))).toMatchObject({
      entry_type: 'PendingApproval',
      author: SYSTEM_IDENTITY,
      decision: { outcome: 'expired', pending: 1 },
    });
    // Two leaders may both have proposed it.
    expect(fixture.try(expired).result).toEqual({ type: 'EntryAppended', sequence: 2 });
    expect(fixture.journal.entryCount).toBe(3);
    expect(valueIn(fixture)).toBeUndefined();
  });
});

describe('pending approvals', () => {
  it('can be asked for where no policy wants one: a PendingApproval asks for a commit of its delta', () => {
    const fixture = new JournalFixture();
    const entry = anEntry({ entry_type: 'PendingApproval', scope: ML, state_delta: aDelta(kernel('1')) });
    expect(fixture.try({ type: 'AppendEntry', entry }).result).toMatchObject({ sequence: 0, pending: true });
    fixture.try(anApproval(0));
    expect(valueIn(fixture)).toBe('1');
  });

  it('survive a snapshot, with who asked and until when', () => {
    const fixture = guarded();
    fixture.append(aCommit(ML, kernel('1')));
    fixture.append(aCommit(ML, kernel('2')));
    fixture.append(aCommit(ML, kernel('3')));
    fixture.try(anApproval(2));
    fixture.try(anApproval(3, { decision: 'rejected' }));
    const restored = restoreFrom(fixture.journal.snapshot());
    expect(restored.digest()).toBe(fixture.journal.digest());
    expect(restored.approvals(fixture.time)).toEqual(fixture.journal.approvals(fixture.time));
    expect(restored.approvals(fixture.time)).toHaveLength(1);
    const time = fixture.time;
    for (const journal of [restored, fixture.journal]) {
      expect(journal.apply({ command: anApproval(2), time }).result).toMatchObject({
        code: 'approvalDecided',
      });
      expect(journal.apply({ command: anApproval(1), time }).result).toMatchObject({ sequence: 6 });
    }
    expect(restored.digest()).toBe(fixture.journal.digest());
  });

  it('never let a change of a guarded vCluster through on the word of one person', () => {
    let approved = 0;
    fc.assert(
      fc.property(commandLogs(fc), (commands) => {
        const { journal } = guarded();
        for (const command of commands) {
          const envelope = aimed(journal, command);
          const wasGuarded = journal.policy('ml').two_person_approval;
          const { changes } = journal.apply(envelope);
          const { entry } = changes;
          if (entry === undefined || !wasGuarded || !concernsMl(journal, entry)) continue;
          const { decision } = entry;
          expect(decision?.outcome).toBe('approved');
          expect(decision?.by.principal).not.toBe(entry.author.principal);
          expect(decision?.by.principal_type).toBe('Human');
          const asked = journal.entry(seq(decision?.pending ?? -1));
          expect(asked).toMatchObject({
            entry_type: 'PendingApproval',
            author: entry.author,
            scope: entry.scope,
            state_delta: entry.state_delta,
            proposal: { entry_type: entry.entry_type },
          });
          expect(entry.timestamp < (asked?.proposal?.expires_at ?? '')).toBe(true);
          approved += 1;
        }
      }),
      { numRuns: 1_200 },
    );
    expect(approved, 'approved changes among them').toBeGreaterThan(20);
  });
});

/** True for an entry that changes the configuration or policy of `ml`. */
function concernsMl(journal: JournalState, entry: ConfigEntry): boolean {
  const { entry_type, expires, policy, scope, state_delta } = entry;
  const isChange = entry_type === 'PolicyUpdate' ? policy !== undefined : changesConfiguration(entry_type);
  const isEmpty = entry_type !== 'PolicyUpdate' && (state_delta === null || deltaSize(state_delta) === 0);
  if (!isChange || expires !== undefined || (isEmpty && entry_type !== 'Rollback')) return false;
  if (scope === 'Global') return true;
  return ('VCluster' in scope ? scope.VCluster : journal.assignment(scope.Node)) === 'ml';
}
