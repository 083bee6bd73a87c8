/** Generators for property tests. They take fast-check as an argument, so that importing this costs nothing without it. */
import type * as FastCheck from 'fast-check';
import { TTL_SECONDS_MAX, TTL_SECONDS_MIN } from '../limits.ts';
import { encodeBase64 } from '../base64.ts';
import { encodeUtf8, formatHash, pureSha256 } from '../canonical.ts';
import { ENTRY_TYPES } from '../parse/entry.ts';
import { CONFIG_STATES } from '../parse/command.ts';
import { defaultPolicy } from '../parse/policy.ts';
import { DELTA_KINDS } from '../types.ts';
import type {
  CommandEnvelope,
  DeltaItem,
  DeltaKind,
  EntrySeq,
  Identity,
  JournalCommand,
  Scope,
  StateDelta,
} from '../types.ts';
import type { JournalState } from '../journal-state.ts';
import { parseStateDelta } from '../parse/delta.ts';
import { entrySeq } from '../parse/fields.ts';
import { at } from './builders.ts';

type Fc = typeof FastCheck.default;
type Arbitrary<T> = FastCheck.Arbitrary<T>;

/** Scopes that random commands are about; few, so that they meet. */
export const PROPERTY_SCOPES: readonly Scope[] = [
  'Global',
  { VCluster: 'ml' },
  { VCluster: 'hpc' },
  { Node: 'n1' },
  { Node: 'n2' },
];

/** A random delta of few keys, in its normal form. */
export function deltas(fc: Fc): Arbitrary<StateDelta> {
  const item = (kind: DeltaKind): Arbitrary<Partial<DeltaItem>> =>
    fc.record({
      action: fc.constantFrom('Add' as const, 'Modify' as const, 'Remove' as const),
      key: fc.constantFrom(...(kind === 'gpu' ? ['0', '1'] : ['a', 'b', 'c'])),
      value: fc.option(fc.string({ maxLength: 3, unit: 'grapheme' }), { nil: null }),
    });
  const items = (kind: DeltaKind): Arbitrary<readonly Partial<DeltaItem>[]> =>
    fc.uniqueArray(item(kind), { maxLength: 3, selector: ({ key }) => key });
  const kinds = Object.fromEntries(DELTA_KINDS.map((kind) => [kind, items(kind)]));
  return fc.record(kinds, { requiredKeys: [] }).map((json) => parseStateDelta(json));
}

interface Step {
  readonly command: JournalCommand;
  readonly request: number | null;
  /** Hours since the step before; the leader's clock may go back. */
  readonly hours: number;
}

/**
 * Random commands of all types, in order of time, a few of which break some rule. Parents and versions lie in the range
 * of what may exist by then.
 */
export function commandLogs(
  fc: Fc,
  options: { readonly maxLength?: number } = {},
): Arbitrary<readonly CommandEnvelope[]> {
  const step: Arbitrary<Step> = fc.record({
    command: commands(fc),
    request: fc.option(fc.nat({ max: 30 }), { nil: null, freq: 2 }),
    hours: fc.constantFrom(0, 0.01, 0.01, 1, 200, -1),
  });
  return fc.array(step, { minLength: 1, maxLength: options.maxLength ?? 60, size: 'max' }).map(toLog);
}

function toLog(steps: readonly Step[]): readonly CommandEnvelope[] {
  let seconds = 0;
  let entries = 0;
  return steps.map((step) => {
    seconds = Math.max(0, seconds + step.hours * 3600);
    const id = step.request === null ? {} : { request_id: `request-${String(step.request)}` };
    const command = inRange(step.command, entries);
    if (command.type === 'AppendEntry' || command.type === 'SetPolicy') entries += 1;
    return { command, ...id, time: at(seconds) };
  });
}

/** Aims a random decision at one of the approvals that are pending as it is applied, where there are any. */
export function aimed(journal: JournalState, envelope: CommandEnvelope): CommandEnvelope {
  const { command, time } = envelope;
  if (command.type !== 'DecideApproval') return envelope;
  const pending = journal.approvals(time);
  const target = pending[command.pending % Math.max(1, pending.length)];
  return target === undefined ? envelope : { ...envelope, command: { ...command, pending: target.sequence } };
}

/** Brings random positions into the range of the entries that may exist. */
function inRange(command: JournalCommand, entries: number): JournalCommand {
  const within = (value: number): EntrySeq => entrySeq(value % Math.max(1, entries));
  if (command.type === 'SetOverlay') {
    return { ...command, overlay: { ...command.overlay, version: within(command.overlay.version) } };
  }
  if (command.type === 'DecideApproval') return { ...command, pending: within(command.pending) };
  if (command.type !== 'AppendEntry' || command.entry.parent === null) return command;
  return { ...command, entry: { ...command.entry, parent: within(command.entry.parent) } };
}

function commands(fc: Fc): Arbitrary<JournalCommand> {
  const vclusterId = fc.constantFrom('ml', 'hpc');
  const scope = fc.constantFrom(...PROPERTY_SCOPES);
  const author = authors(fc);
  const state: Arbitrary<JournalCommand> = fc.record({
    type: fc.constant('UpdateNodeState' as const),
    node_id: fc.constantFrom('n1', 'n2', 'n3'),
    state: fc.constantFrom(...CONFIG_STATES),
  });
  const assign: Arbitrary<JournalCommand> = fc.record({
    type: fc.constant('AssignNode' as const),
    node_id: fc.constantFrom('n1', 'n2', 'n3'),
    vcluster_id: fc.option(vclusterId, { nil: null }),
  });
  const cursor: Arbitrary<JournalCommand> = fc.record({
    type: fc.constant('MoveCursor' as const),
    cursor: fc.record({
      name: fc.constantFrom('loki', 'archive'),
      next_sequence: fc.nat({ max: 20 }),
      detail: fc.string({ maxLength: 3 }),
    }),
  });
  const policy: Arbitrary<JournalCommand> = fc.record({
    type: fc.constant('SetPolicy' as const),
    vcluster_id: vclusterId,
    policy: fc
      .record({ emergency_allowed: fc.boolean(), two_person_approval: fc.boolean() })
      .map((flags) => ({ ...defaultPolicy('ml'), ...flags })),
    author,
  });
  const decision: Arbitrary<JournalCommand> = fc.record({
    type: fc.constant('DecideApproval' as const),
    pending: fc.nat().map(entrySeq),
    approver: author,
    decision: fc.constantFrom(
      'approved' as const,
      'approved' as const,
      'rejected' as const,
      'expired' as const,
    ),
  });
  const operation: Arbitrary<JournalCommand> = fc.record({
    type: fc.constant('RecordOperation' as const),
    operation: fc.record({
      operation_id: fc.constantFrom('op1', 'op2', 'op3', 'op4'),
      operation_type: fc.constantFrom('Exec' as const, 'ShellStart' as const, 'ShellEnd' as const),
      author,
      scope,
      detail: fc.string({ maxLength: 5, unit: 'grapheme' }),
      exit_code: fc.option(fc.nat({ max: 255 }), { nil: null }),
      occurred_at: fc.constant(at(0)),
    }),
  });
  return fc.oneof(
    { weight: 8, arbitrary: changes(fc) },
    { weight: 3, arbitrary: rollbacks(fc) },
    { weight: 1, arbitrary: policy },
    { weight: 1, arbitrary: overlays(fc) },
    { weight: 1, arbitrary: operation },
    { weight: 1, arbitrary: state },
    { weight: 1, arbitrary: cursor },
    { weight: 2, arbitrary: assign },
    { weight: 3, arbitrary: decision },
  );
}

function authors(fc: Fc): Arbitrary<Identity> {
  return fc.record({
    principal: fc.constantFrom('ada', 'bob', 'cy', 'system:journal'),
    principal_type: fc.constantFrom('Human' as const, 'Human' as const, 'Service' as const, 'Agent' as const),
    role: fc.nat({ max: 19 }).map((at) => (at === 0 ? '' : 'admin')),
  });
}

const NO_WORDS = { policy_ref: null, emergency_reason: null };

function changes(fc: Fc): Arbitrary<JournalCommand> {
  return fc
    .record({
      entry_type: fc.constantFrom('Commit' as const, 'Commit' as const, 'Commit' as const, ...ENTRY_TYPES),
      scope: fc.constantFrom(...PROPERTY_SCOPES),
      author: authors(fc),
      parent: fc.option(fc.nat().map(entrySeq), { nil: null, freq: 2 }),
      state_delta: fc.option(deltas(fc), { nil: null, freq: 6 }),
      ttl_seconds: fc
        .nat({ max: 9 })
        .map((at) => [TTL_SECONDS_MIN, TTL_SECONDS_MAX, TTL_SECONDS_MIN - 1][at] ?? null),
    })
    .map((entry) => ({ type: 'AppendEntry', entry: { ...NO_WORDS, ...entry } }));
}

function rollbacks(fc: Fc): Arbitrary<JournalCommand> {
  const author: Identity = { principal: 'ada', principal_type: 'Human', role: 'admin' };
  return fc
    .record({ scope: fc.constantFrom(...PROPERTY_SCOPES), parent: fc.nat().map(entrySeq) })
    .map((target) => ({
      type: 'AppendEntry',
      entry: { ...NO_WORDS, entry_type: 'Rollback', author, state_delta: null, ttl_seconds: null, ...target },
    }));
}

function overlays(fc: Fc): Arbitrary<JournalCommand> {
  return fc
    .record({
      vcluster_id: fc.constantFrom('ml', 'hpc'),
      version: fc.nat().map(entrySeq),
      text: fc.string({ maxLength: 5 }),
      damaged: fc.nat({ max: 4 }),
    })
    .map(({ vcluster_id, version, text, damaged }) => {
      const bytes = encodeUtf8(text);
      const checksum = damaged === 0 ? 'sha256:00' : formatHash(pureSha256(bytes));
      const overlay = {
        vcluster_id,
        version,
        data: encodeBase64(bytes),
        checksum,
        raw_size_bytes: bytes.length,
      };
      return { type: 'SetOverlay', overlay };
    });
}
