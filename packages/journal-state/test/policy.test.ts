import { describe, expect, it } from 'vitest';
import { POLICY_ACTIONS } from '@pact-journal/journal-state';
import type { Evaluation, EvaluationRequest, Identity, VClusterPolicy } from '@pact-journal/journal-state';
import {
  JournalFixture,
  aCommit,
  aDelta,
  aPolicy,
  anEmergencyStart,
  anIdentity,
  node,
  vcluster,
} from '@pact-journal/journal-state/testing';

const ML = vcluster('ml');
const ADMIN = anIdentity();
const OPS = anIdentity({ principal: 'olga', role: 'pact-ops-ml' });
const VIEWER = anIdentity({ principal: 'vera', role: 'pact-viewer-ml' });

function withPolicy(over: Partial<VClusterPolicy> = {}): JournalFixture {
  const fixture = new JournalFixture();
  fixture.setPolicy(aPolicy('ml', over));
  fixture.assign('n1', 'ml');
  return fixture;
}

function ask(fixture: JournalFixture, action: string, over: Partial<EvaluationRequest> = {}): Evaluation {
  return fixture.journal.evaluate({ author: ADMIN, scope: ML, action, ...over });
}

describe('roles', () => {
  const may = (author: Identity, scope: EvaluationRequest['scope']): readonly string[] =>
    POLICY_ACTIONS.filter((action) => {
      const fixture = withPolicy();
      if (action === 'emergency_end') fixture.append(anEmergencyStart(scope));
      return ask(fixture, action, { author, scope }).authorized;
    });

  it.each([
    ['pact-platform-admin everything everywhere', ADMIN, ML, POLICY_ACTIONS],
    ['pact-platform-admin everything, of all nodes', ADMIN, 'Global' as const, POLICY_ACTIONS],
    ['pact-ops-V everything in V', OPS, ML, POLICY_ACTIONS],
    ['pact-ops-V everything on nodes of V', OPS, node('n1'), POLICY_ACTIONS],
    ['pact-ops-V nothing in another vCluster', OPS, vcluster('hpc'), []],
    ['pact-ops-V nothing on nodes of none', OPS, node('n9'), []],
    ['pact-ops-V nothing of all nodes', OPS, 'Global' as const, []],
    ['pact-viewer-V reading in V', VIEWER, ML, ['read']],
    ['pact-viewer-V nothing in another vCluster', VIEWER, vcluster('hpc'), []],
    ['any other role nothing', anIdentity({ role: 'pact-ops' }), ML, []],
  ])('allow %s', (_what, author, scope, expected) => {
    expect(may(author, scope)).toEqual(expected);
  });

  it('that the policy binds to principals allow those what it says', () => {
    const fixture = withPolicy({
      role_bindings: [
        { role: 'oncall', principals: ['olga'], allowed_actions: ['commit', 'EmergencyStart'] },
        { role: 'owner', principals: ['olga'], allowed_actions: ['*'] },
      ],
    });
    const as = (principal: string, role: string, action: string): boolean =>
      ask(fixture, action, { author: anIdentity({ principal, role }) }).authorized;
    expect(as('olga', 'oncall', 'commit')).toBe(true);
    expect(as('olga', 'oncall', 'emergency_start')).toBe(true);
    expect(as('olga', 'oncall', 'rollback')).toBe(false);
    expect(as('olga', 'owner', 'rollback')).toBe(true);
    expect(as('otto', 'owner', 'rollback')).toBe(false);
  });
});

describe('an action', () => {
  it('may be written as snake, kebab or Pascal case; one that nobody knows is denied', () => {
    const fixture = withPolicy();
    for (const action of ['emergency_start', 'emergency-start', 'EmergencyStart', 'EMERGENCY_START'])
      expect(ask(fixture, action).authorized).toBe(true);
    expect(ask(fixture, 'reboot')).toMatchObject({
      authorized: false,
      reason: expect.stringContaining('reboot'),
    });
  });

  it('is answered with the policy that decided', () => {
    expect(ask(withPolicy({ policy_id: 'p7' }), 'commit').policy_ref).toBe('p7');
    expect(ask(new JournalFixture(), 'commit').policy_ref).toBe('');
  });
});

describe('a whitelist', () => {
  const enforcing = withPolicy({
    enforcement_mode: 'enforce',
    exec_whitelist: ['ps', '/usr/bin/dmesg', 'systemctl status slurmd; uptime'],
    shell_whitelist: ['ls'],
  });

  it.each([
    ['ps', true],
    ['ps aux', true],
    ['  ps\taux ', true],
    ['/usr/bin/dmesg -T', true],
    ['systemctl status slurmd; uptime', true],
    ['/tmp/ps', false],
    ['./ps', false],
    ['psql', false],
    ['dmesg', false],
    ['systemctl status slurmd', false],
    ['ps; rm -rf /', false],
    ['ps && rm -rf /', false],
    ['ps $(rm -rf /)', false],
    ['ps `rm -rf /`', false],
    ['ps | sh', false],
    ['ps\nrm -rf /', false],
    ['ps > /etc/passwd', false],
    ['', false],
  ])('lets exec run %j: %s', (command, authorized) => {
    expect(ask(enforcing, 'exec', { command }).authorized).toBe(authorized);
  });

  it('of exec is not that of shell, and opening a session names no command', () => {
    expect(ask(enforcing, 'shell', { command: 'ls -l' }).authorized).toBe(true);
    expect(ask(enforcing, 'shell', { command: 'ps' }).authorized).toBe(false);
    expect(ask(enforcing, 'exec', { command: 'ls' }).authorized).toBe(false);
    expect(ask(enforcing, 'shell').authorized).toBe(true);
    expect(ask(enforcing, 'exec').authorized).toBe(false);
  });

  it('denies, warns or says nothing as the enforcement mode has it', () => {
    const answer = (enforcement_mode: VClusterPolicy['enforcement_mode']): Evaluation =>
      ask(withPolicy({ enforcement_mode, exec_whitelist: ['ps'] }), 'exec', { command: 'reboot' });
    const reason = "reboot is not in the policy's exec_whitelist";
    expect(answer('enforce')).toMatchObject({ authorized: false, reason });
    expect(answer('warn')).toMatchObject({ authorized: true, reason });
    expect(answer('observe')).toEqual({ authorized: true, policy_ref: 'ml@0' });
  });
});

describe('principals that are no people', () => {
  const bot = anIdentity({ principal: 'bot', principal_type: 'Agent' });

  it('execute only where the policy allows AI agents to', () => {
    const question = { author: bot, command: 'ps' };
    expect(ask(withPolicy(), 'exec', question).authorized).toBe(false);
    expect(ask(withPolicy({ ai_exec_allowed: true }), 'exec', question).authorized).toBe(true);
    expect(ask(withPolicy(), 'shell', question).authorized).toBe(false);
  });

  it('never start or end emergencies, nor approve', () => {
    for (const principal_type of ['Agent', 'Service'] as const) {
      for (const action of ['emergency_start', 'emergency_end', 'approve']) {
        const fixture = withPolicy();
        if (action === 'emergency_end') fixture.append(anEmergencyStart(ML));
        expect(ask(fixture, action).authorized).toBe(true);
        expect(ask(fixture, action, { author: anIdentity({ principal_type }) }).authorized).toBe(false);
      }
    }
  });
});

describe('emergencies', () => {
  it('start where the policy allows them and none is under way, and end where one is', () => {
    expect(ask(withPolicy({ emergency_allowed: false }), 'emergency_start').authorized).toBe(false);
    const fixture = withPolicy();
    expect(ask(fixture, 'emergency_end').authorized).toBe(false);
    fixture.append(anEmergencyStart(ML));
    expect(ask(fixture, 'emergency_start').authorized).toBe(false);
    expect(ask(fixture, 'emergency_start', { scope: node('n1') }).authorized).toBe(false);
    expect(ask(fixture, 'emergency_end').authorized).toBe(true);
  });
});

describe('drift that is to converge by itself', () => {
  it('is of the categories that the policy lists and does not want acknowledged', () => {
    const fixture = withPolicy({
      enforcement_mode: 'enforce',
      auto_converge_categories: ['kernel', 'packages'],
      require_ack_categories: ['packages'],
    });
    const of = (kind: 'kernel' | 'packages' | 'files'): boolean =>
      ask(fixture, 'auto_converge', { proposed_change: aDelta({ [kind]: { a: '1' } }) }).authorized;
    expect([of('kernel'), of('packages'), of('files')]).toEqual([true, false, false]);
  });
});

describe('a change that needs a second person', () => {
  const change = aCommit(ML, { kernel: { 'vm.x': '1' } });

  it('is not authorized, and the pending approval of just that change is named once it was asked for', () => {
    const fixture = withPolicy({ two_person_approval: true });
    const question = { proposed_change: aDelta({ kernel: { 'vm.x': '1' } }) };
    expect(ask(fixture, 'commit', question)).toMatchObject({
      authorized: false,
      approval: { pending: undefined },
    });
    const pending = fixture.append(change);
    expect(ask(fixture, 'commit', question)).toMatchObject({ authorized: false, approval: { pending } });
    expect(ask(fixture, 'commit')).toMatchObject({ approval: { pending } });
    const other = { proposed_change: aDelta({ kernel: { 'vm.x': '2' } }) };
    expect(ask(fixture, 'commit', other)).toMatchObject({ approval: { pending: undefined } });
    expect(ask(fixture, 'commit', { ...question, author: OPS })).toMatchObject({
      approval: { pending: undefined },
    });
    expect(ask(fixture, 'exec', { command: 'ps' })).toMatchObject({ authorized: true });
  });

  it('is one of all nodes, too, where any vCluster wants two persons', () => {
    const fixture = withPolicy({ two_person_approval: true });
    expect(ask(fixture, 'commit', { scope: 'Global' })).toMatchObject({
      authorized: false,
      policy_ref: 'ml@0',
    });
    expect(ask(fixture, 'commit', { scope: vcluster('hpc') })).toMatchObject({ authorized: true });
  });
});
