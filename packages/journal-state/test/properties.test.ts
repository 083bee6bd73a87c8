import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JournalState, canonicalJson, encodeCommand, entrySeq } from '@pact-journal/journal-state';
import type { CommandEnvelope, ConfigEntry } from '@pact-journal/journal-state';
import {
  PROPERTY_SCOPES,
  ReferenceModel,
  aimed,
  at,
  commandLogs,
  plainConfigAt,
  restoreFrom,
} from '@pact-journal/journal-state/testing';

const VCLUSTERS = ['ml', 'hpc'];

/** Ends what has run out before each command, as a leader does; decisions are about something. */
function withExpirations(journal: JournalState, envelope: CommandEnvelope): readonly CommandEnvelope[] {
  const due = journal.dueExpirations(envelope.time).map((command) => ({ command, time: envelope.time }));
  return [...due, aimed(journal, envelope)];
}

/** The log as a leader would have replicated it, and the state that it leads to. */
function lead(log: readonly CommandEnvelope[]): {
  readonly log: readonly CommandEnvelope[];
  readonly journal: JournalState;
} {
  const journal = new JournalState();
  const replicated: CommandEnvelope[] = [];
  for (const envelope of log) {
    for (const command of withExpirations(journal, envelope)) {
      replicated.push(command);
      journal.apply(command);
    }
  }
  return { log: replicated, journal };
}

/** All that a reader can see. */
function observe(journal: JournalState): unknown {
  return {
    digest: journal.digest(),
    head: journal.headHash,
    entries: [...journal.entries()],
    operations: [...journal.operations()],
    nodes: [...journal.nodes()],
    vclusters: [...journal.vclusters()],
    configs: PROPERTY_SCOPES.map((scope) => journal.effectiveConfig(scope)),
    deltas: ['n1', 'n2', 'n3'].map((id) => journal.nodeDelta(id)),
    overlays: VCLUSTERS.map((id) => journal.overlay(id)),
    inputs: VCLUSTERS.map((id) => journal.overlayInput(id)),
    emergencies: journal.emergencies(at(1e6)),
    due: journal.dueExpirations(at(1e9)),
    approvals: journal.approvals(at(1e6)),
    next: journal.nextExpiration,
    deviating: [...journal.deviatingNodes()],
    blame: PROPERTY_SCOPES.map((scope) => [...journal.blame(scope)]),
  };
}

describe('a journal against the naive reference model', () => {
  it('has the same effective configuration in every scope after every entry', () => {
    fc.assert(
      fc.property(commandLogs(fc), (commands) => {
        const journal = new JournalState();
        const model = new ReferenceModel();
        for (const command of commands) {
          for (const envelope of withExpirations(journal, command)) {
            const { result, changes } = journal.apply(envelope);
            if (changes.entry !== undefined) model.append(changes.entry);
            if (
              envelope.command.type === 'AssignNode' &&
              result.type === 'Ok' &&
              changes.assignment !== undefined
            ) {
              model.assign(envelope.command.node_id, envelope.command.vcluster_id);
            }
          }
        }
        for (let sequence = 0; sequence < journal.entryCount; sequence += 1) {
          for (const scope of PROPERTY_SCOPES) {
            expect(plainConfigAt(journal, scope, sequence)).toEqual(model.plain(scope, sequence));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('rolls a scope back to exactly what was in effect after the parent', () => {
    let rollbacks = 0;
    fc.assert(
      fc.property(commandLogs(fc), (commands) => {
        const { journal } = lead(commands);
        for (const entry of journal.entries({ entry_types: ['Rollback'] })) {
          if (entry.parent === null) continue;
          rollbacks += 1;
          const restored = plainConfigAt(journal, entry.scope, entry.sequence);
          expect(restored).toEqual(plainConfigAt(journal, entry.scope, entry.parent));
        }
      }),
      { numRuns: 200 },
    );
    expect(rollbacks).toBeGreaterThan(100);
  });

  it('gives a node, by its delta on top of its vCluster, the configuration that is in effect for it', () => {
    fc.assert(
      fc.property(commandLogs(fc), (commands) => {
        const { journal } = lead(commands);
        for (const nodeId of ['n1', 'n2']) {
          const vclusterId = journal.assignment(nodeId);
          const base = journal.effectiveConfig(
            vclusterId === undefined ? 'Global' : { VCluster: vclusterId },
          );
          const { delta } = journal.nodeDelta(nodeId);
          for (const kind of ['mounts', 'kernel', 'gpu'] as const) {
            const config = new Map([...base[kind]].map(([key, item]) => [key, item.value]));
            for (const item of delta[kind]) {
              if (item.action === 'Remove') config.delete(item.key);
              else {
                expect(item.action).toBe(config.has(item.key) ? 'Modify' : 'Add');
                config.set(item.key, item.value);
              }
            }
            const effective = [...journal.effectiveConfig({ Node: nodeId })[kind]];
            expect([...config].sort()).toEqual(effective.map(([key, item]) => [key, item.value]).sort());
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('replicas', () => {
  it('agree in all that can be seen, whether they applied values or bytes', () => {
    fc.assert(
      fc.property(commandLogs(fc), (commands) => {
        const { log, journal } = lead(commands);
        const replica = new JournalState({
          sha256: (bytes) => createHash('sha256').update(bytes).digest('hex'),
        });
        for (const envelope of log) replica.applyBytes(encodeCommand(envelope));
        expect(observe(replica)).toEqual(observe(journal));
      }),
      { numRuns: 100 },
    );
  });

  it('agree wherever they were restarted from a snapshot', () => {
    fc.assert(
      fc.property(commandLogs(fc), fc.array(fc.nat({ max: 80 }), { maxLength: 4 }), (commands, restarts) => {
        const { log, journal } = lead(commands);
        let replica = new JournalState();
        log.forEach((envelope, index) => {
          if (restarts.includes(index)) replica = restoreFrom(replica.snapshot());
          replica.apply(envelope);
        });
        expect(observe(restoreFrom(replica.snapshot()))).toEqual(observe(journal));
      }),
      { numRuns: 100 },
    );
  });

  it('are not disturbed by questions in between: answers are of the last applied command', () => {
    fc.assert(
      fc.property(commandLogs(fc, { maxLength: 30 }), (commands) => {
        const { log, journal } = lead(commands);
        const replica = new JournalState();
        for (const envelope of log) {
          replica.apply(envelope);
          observe(replica);
        }
        expect(observe(replica)).toEqual(observe(journal));
      }),
      { numRuns: 50 },
    );
  });

  it('have different digests as soon as one command differs', () => {
    fc.assert(
      fc.property(commandLogs(fc), fc.nat(), (commands, choice) => {
        const { log, journal } = lead(commands);
        const replica = new JournalState();
        const dropped = choice % log.length;
        log.forEach((envelope, index) => {
          if (index !== dropped) replica.apply(envelope);
        });
        const same = canonicalJson(observe(replica)) === canonicalJson(observe(journal));
        if (!same) expect(replica.digest()).not.toBe(journal.digest());
      }),
      { numRuns: 100 },
    );
  });
});

describe('apply is total', () => {
  it('answers whatever it is given, and what it refuses leaves the state as it was', () => {
    const soup = fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withMap: true });
    const almost = fc.record(
      {
        time: fc.oneof(fc.constant(at(0)), soup),
        request_id: fc.oneof(fc.string(), soup),
        command: fc.oneof(
          soup,
          fc.record({
            type: fc.constantFrom('AppendEntry', 'SetPolicy', 'SetOverlay', 'RecordOperation', 'AssignNode'),
            entry: soup,
          }),
          fc.record({
            type: fc.constant('AppendEntry'),
            entry: fc.record(
              {
                entry_type: fc.constantFrom('Commit', 'Rollback', 'EmergencyStart'),
                scope: fc.oneof(fc.constant('Global'), soup),
                author: fc.oneof(fc.constant({ principal: 'a', principal_type: 'Human', role: 'r' }), soup),
                state_delta: fc.oneof(soup, fc.record({ kernel: fc.array(soup) })),
              },
              { requiredKeys: ['entry_type'] },
            ),
          }),
        ),
      },
      { requiredKeys: [] },
    );
    const journal = new JournalState();
    fc.assert(
      fc.property(fc.oneof(soup, almost), (garbage) => {
        const before = journal.entryCount;
        const { result, changes } = journal.apply(garbage as CommandEnvelope);
        if (result.type === 'ValidationError') {
          expect(result.reason.length).toBeGreaterThan(0);
          expect(result.reason.length).toBeLessThanOrEqual(512);
          expect(changes.entry).toBeUndefined();
          expect(journal.entryCount).toBe(before);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('answers any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        expect(new JournalState().applyBytes(bytes).result).toMatchObject({
          type: 'ValidationError',
          code: 'malformed',
        });
      }),
    );
  });
});

describe('what is stored', () => {
  it('is canonical JSON, chained by SHA-256 as an auditor would compute it', () => {
    fc.assert(
      fc.property(commandLogs(fc), (commands) => {
        const { journal } = lead(commands);
        let previous = `sha256:${createHash('sha256').digest('hex')}`;
        const stored = journal
          .snapshot()
          .sections.filter((section) => section.key.startsWith('entries/'))
          .flatMap((section) => [...section.records()].map((bytes) => Buffer.from(bytes).toString()));
        for (const line of stored) {
          const entry = JSON.parse(line) as ConfigEntry;
          expect(line).toBe(canonicalJson(entry));
          const { hash, ...rest } = entry;
          expect(hash).toBe(
            `sha256:${createHash('sha256')
              .update(previous + canonicalJson(rest))
              .digest('hex')}`,
          );
          expect(journal.entry(entrySeq(entry.sequence))).toEqual(entry);
          previous = hash;
        }
        expect(journal.headHash).toBe(previous);
      }),
      { numRuns: 100 },
    );
  });
});
