/** What `verify` says, whatever it has verified. */
import type { JournalState } from '@pact-journal/journal-state';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { formatCount, printFields } from '../tables.ts';

export interface Verified {
  /** What was verified, for people. */
  readonly target: string;
  readonly kind: 'journal' | 'data directory' | 'backup';
  readonly clusterId: string | undefined;
  /** Each a line; empty where all is whole. */
  readonly findings: readonly string[];
  /** What could not be looked at, each a line: nothing speaks against it, but success must not be claimed. */
  readonly unchecked?: readonly string[];
  /** Undefined where damage was in the way. */
  readonly chain: Chain | undefined;
  /** More lines for people, and fields for programs. */
  readonly details: readonly (readonly [string, string])[];
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Chain {
  readonly entries: number;
  readonly operations: number;
  readonly headHash: string;
  readonly digest: string;
  /** Sequence of the entry with a hash; undefined where there is none. */
  readonly find: (hash: string) => number | undefined;
}

export function chainOf(state: JournalState): Chain {
  return {
    entries: state.entryCount,
    operations: state.operationCount,
    headHash: state.headHash,
    digest: state.digest(),
    find: (hash) => {
      if (hash === state.headHash) return state.entryCount - 1;
      for (const entry of state.entries()) if (entry.hash === hash) return entry.sequence;
      return undefined;
    },
  };
}

/**
 * Prints the outcome. Fails as damage where there is any, or where the expected hash is not in the chain; as not reached
 * where something could not be looked at.
 */
export function report(context: CliContext, verified: Verified, expect: string | undefined): void {
  const { target, kind, clusterId, findings, chain, unchecked = [] } = verified;
  const expected = expect === undefined ? undefined : normal(expect);
  const foundAt = expected === undefined ? undefined : chain?.find(expected);
  const failure = failureOf(verified, expected, foundAt);
  if (context.globals.json) {
    context.out.json({
      ok: failure === undefined,
      kind,
      target,
      cluster_id: clusterId ?? null,
      findings,
      unchecked,
      entries: chain?.entries ?? null,
      operations: chain?.operations ?? null,
      head_hash: chain?.headHash ?? null,
      digest: chain?.digest ?? null,
      ...(expected === undefined ? {} : { expected_at: foundAt ?? null }),
      ...verified.fields,
    });
  } else {
    for (const finding of findings) context.out.line(`${context.out.colors.red('damage')} ${finding}`);
    if (chain !== undefined) printChain(context, verified, chain, { expected, foundAt });
  }
  if (failure !== undefined) throw failure;
}

/** Why it must not be taken for proven; undefined where it is. */
function failureOf(
  { target, findings, chain, unchecked = [] }: Verified,
  expected: string | undefined,
  foundAt: number | undefined,
): CliError | undefined {
  const listed = ([first, ...others]: readonly string[]): string =>
    `${String(first)}${others.length === 0 ? '' : ` (and ${String(others.length)} more)`}`;
  if (findings.length > 0) return new CliError('damaged', `${target}: ${listed(findings)}`);
  if (expected !== undefined && foundAt === undefined) {
    const head = chain?.headHash ?? 'unknown';
    return new CliError(
      'damaged',
      `${target}: no entry has the expected hash ${expected}; the head is ${head}`,
    );
  }
  if (unchecked.length === 0) return undefined;
  return new CliError(
    'unreachable',
    `${target}: what was reached is whole, but not all was reached: ${listed(unchecked)}; try again once all members answer`,
  );
}

interface Expectation {
  readonly expected: string | undefined;
  readonly foundAt: number | undefined;
}

function printChain(context: CliContext, verified: Verified, chain: Chain, expectation: Expectation): void {
  const { kind, clusterId, details } = verified;
  printFields(context.out, [
    [kind, verified.target],
    ['cluster', clusterId ?? '-'],
    ['entries', `${formatCount(chain.entries)}, and ${formatCount(chain.operations)} operations`],
    ['head hash', chain.headHash],
    ['digest', chain.digest],
    ...details,
    ...expectationLines(expectation),
    ['outcome', outcome(context, verified, expectation)],
  ]);
}

function expectationLines({ expected, foundAt }: Expectation): readonly (readonly [string, string])[] {
  if (expected === undefined) return [];
  if (foundAt === undefined) return [['expected hash', 'that of no entry']];
  if (foundAt < 0) return [['expected hash', 'that of the chain without an entry']];
  return [['expected hash', `that of sequence ${String(foundAt)}: nothing up to it has changed`]];
}

/** In one word what the exit status says too. */
function outcome(
  { out: { colors } }: CliContext,
  { findings, unchecked = [] }: Verified,
  { expected, foundAt }: Expectation,
): string {
  if (findings.length > 0) return colors.red('damaged');
  if (expected !== undefined && foundAt === undefined) return colors.red('not the journal that is expected');
  if (unchecked.length > 0) return colors.red('not proven: not all was reached');
  return colors.green('whole');
}

function normal(hash: string): string {
  const text = hash.trim().toLowerCase();
  const hex = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (!/^[0-9a-f]{64}$/u.test(hex))
    throw new CliError('usage', `--expect: "${hash}" is not a hash such as sha256:e3b0c442...`);
  return `sha256:${hex}`;
}
