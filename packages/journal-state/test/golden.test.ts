import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { JournalState, encodeCommand } from '@pact-journal/journal-state';
import type { CommandEnvelope, JournalCommand, NewConfigEntry, Scope } from '@pact-journal/journal-state';
import {
  aDelta,
  aPolicy,
  anApproval,
  anEntry,
  anIdentity,
  anOperation,
  anOverlay,
  at,
  restoreFrom,
  seq,
} from '@pact-journal/journal-state/testing';

const COMMANDS = 3000;

/** What an encoder may get wrong: escapes, control characters, several bytes a character, halves of pairs. */
const WORDS = [
  '',
  'plain',
  'a "quote" and a \\',
  'tab\tand\nnewline\u0000\u001f\u007f',
  'ärger, 中文, 😀',
  'half \ud800 a pair \udc00',
  '\u2028\u2029</script>',
  ',"hash":"sha256:00',
  'a name that is longer than a dozen characters',
];
const TYPES = ['Commit', 'Commit', 'Commit', 'DriftDetected', 'AutoConverge', 'ExecLog', 'Rollback'] as const;
const SCOPES: readonly Scope[] = [
  'Global',
  { VCluster: 'ml' },
  { VCluster: 'hpc' },
  ...Array.from({ length: 20 }, (_, number) => ({ Node: `node-${String(number).padStart(6, '0')}` })),
  { Node: 'a "quoted" nöde' },
];

/** The same numbers every time. */
class Draws {
  #state = 1;

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * limit);
  }

  of<T>(choices: readonly [T, ...(readonly T[])] | readonly T[]): T {
    const chosen = choices[this.below(choices.length)];
    if (chosen === undefined) throw new Error('there is nothing to choose from');
    return chosen;
  }
}

function entry(draw: Draws, entries: number): NewConfigEntry {
  const entry_type = draw.of(TYPES);
  const value = (): string => draw.of(WORDS);
  const state_delta =
    draw.below(5) === 0
      ? null
      : aDelta({
          kernel: { [`vm.parameter.${String(draw.below(30))}`]: value() },
          ...(draw.below(4) === 0
            ? { files: { '/etc/motd': { value: value(), spec: { mode: 0o644 } } } }
            : {}),
          ...(draw.below(4) === 0 ? { gpu: { '0': value(), '1': null } } : {}),
          ...(draw.below(4) === 0
            ? { packages: { [`p-${value()}`]: { previous: value(), value: '1' } } }
            : {}),
        });
  const ttl = entry_type !== 'Rollback' && draw.below(10) === 0 ? 900 : null;
  return anEntry({
    author: anIdentity({ principal: `${draw.of(['ada', 'bob "b"', 'çy'])}-${String(draw.below(5))}` }),
    entry_type,
    parent: entry_type === 'Rollback' || draw.below(4) === 0 ? seq(draw.below(entries + 1)) : null,
    policy_ref: draw.below(5) === 0 ? value() : null,
    emergency_reason: draw.below(9) === 0 ? value() : null,
    scope: draw.of(SCOPES),
    state_delta,
    ttl_seconds: ttl,
    message: value(),
  });
}

function command(draw: Draws, journal: JournalState): JournalCommand {
  const count = journal.entryCount;
  const nodeId = `node-${String(draw.below(30)).padStart(6, '0')}`;
  switch (draw.below(20)) {
    case 0:
      return { type: 'AssignNode', node_id: nodeId, vcluster_id: draw.of(['ml', 'hpc', null]) };
    case 1:
      return { type: 'UpdateNodeState', node_id: nodeId, state: draw.of(['Converging', 'Drifted']) };
    case 2:
      return {
        type: 'RecordOperation',
        operation: anOperation(`op-${String(count)}`, { detail: draw.of(WORDS) }),
      };
    case 3: {
      const policy = aPolicy('hpc', { two_person_approval: draw.below(2) === 0, policy_id: draw.of(WORDS) });
      return { type: 'SetPolicy', vcluster_id: 'hpc', policy, author: anIdentity(), message: draw.of(WORDS) };
    }
    case 4:
      return { type: 'SetOverlay', overlay: anOverlay('ml', Math.max(0, count - 1), draw.of(WORDS)) };
    case 5: {
      const pending = journal.approvals(at(0))[0]?.sequence ?? 0;
      return anApproval(pending, { decision: draw.of(['approved', 'rejected']) });
    }
    case 6:
      return { type: 'MoveCursor', cursor: { name: 'loki', next_sequence: count, detail: draw.of(WORDS) } };
    default:
      return { type: 'AppendEntry', entry: entry(draw, count) };
  }
}

/** Applies the history as objects here and as bytes there, and returns both journals. */
function history(): readonly [JournalState, JournalState] {
  const draw = new Draws();
  const fromObjects = new JournalState();
  const fromBytes = new JournalState();
  const apply = (envelope: CommandEnvelope): void => {
    const bytes = encodeCommand(envelope);
    expect(fromBytes.applyBytes(bytes)).toEqual(fromObjects.apply(envelope));
  };
  for (let step = 0; step < COMMANDS; step += 1) {
    const time = at(step * 10);
    for (const due of fromObjects.dueExpirations(time)) apply({ command: due, time });
    const request =
      draw.below(3) === 0 ? {} : { request_id: `request ${draw.of(WORDS)} ${String(draw.below(step + 1))}` };
    apply({ command: command(draw, fromObjects), ...request, time });
  }
  return [fromObjects, fromBytes];
}

/** Of every byte of its snapshot. */
function fingerprint(journal: JournalState): string {
  const hash = createHash('sha256');
  for (const section of journal.snapshot().sections) {
    hash.update(`${section.key}\n`);
    for (const record of section.records()) hash.update(record).update('\n');
  }
  return hash.digest('hex');
}

describe('a fixed history', () => {
  it('leads to the bytes, hashes and digest that it always led to, by whatever way', () => {
    const [fromObjects, fromBytes] = history();
    for (const journal of [fromObjects, fromBytes, restoreFrom(fromObjects.snapshot())]) {
      expect({
        entries: journal.entryCount,
        operations: journal.operationCount,
        head: journal.headHash,
        digest: journal.digest(),
        snapshot: fingerprint(journal),
      }).toEqual({
        entries: 2543,
        operations: 139,
        head: 'sha256:eada13be04fafe9428a2f67c197204003f60b5b3ce683cd7db403bf4784bd91c',
        digest: 'sha256:144ba89567c3689f263756d54bb2948df10ebe6bb1a178ad7fdbb6ad8dfb87d0',
        snapshot: 'a6c0f621c3ff8329fb4230d2d82eb95f58278a53bdaeded5910055df85a38e44',
      });
    }
  });

  it('has entries that read back as they were handed to whoever follows the journal', () => {
    const [journal] = history();
    const restored = restoreFrom(journal.snapshot());
    for (const appended of journal.entries()) expect(restored.entry(appended.sequence)).toEqual(appended);
  });
});
