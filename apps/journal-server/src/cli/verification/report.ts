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

/** Prints the outcome. Fails as damage where there is any, or where the expected hash is not in the chain. */
export function report(context: CliContext, verified: Verified, expect: string | undefined): void {
  const { target, kind, clusterId, findings, chain } = verified;
  const expected = expect === undefined ? undefined : normal(expect);
  const foundAt = expected === undefined ? undefined : chain?.find(expected);
  const ok = findings.length === 0 && (expected === undefined || foundAt !== undefined);
  if (context.globals.json) {
    context.out.json({
      ok,
      kind,
      target,
      cluster_id: clusterId ?? null,
      findings,
      entries: chain?.entries ?? null,
      operations: chain?.operations ?? null,
      head_hash: chain?.headHash ?? null,
      digest: chain?.digest ?? null,
      ...(expected === undefined ? {} : { expected_at: foundAt ?? null }),
      ...verified.fields,
    });
  } else {
    for (const finding of findings) context.out.line(`${context.out.colors.red('damage')} ${finding}`);
    if (chain !== undefined) printChain(context, verified, chain, foundAt);
  }
  const [first] = findings;
  if (first !== undefined) {
    const others = findings.length === 1 ? '' : ` (and ${String(findings.length - 1)} more)`;
    throw new CliError('damaged', `${target}: ${first}${others}`);
  }
  if (expected !== undefined && foundAt === undefined) {
    throw new CliError(
      'damaged',
      `${target}: no entry has the expected hash ${expected}; the head is ${chain?.headHash ?? 'unknown'}`,
    );
  }
}

function printChain(
  context: CliContext,
  verified: Verified,
  chain: Chain,
  foundAt: number | undefined,
): void {
  const { findings, kind, clusterId, details } = verified;
  printFields(context.out, [
    [kind, verified.target],
    ['cluster', clusterId ?? '-'],
    ['entries', `${formatCount(chain.entries)}, and ${formatCount(chain.operations)} operations`],
    ['head hash', chain.headHash],
    ['digest', chain.digest],
    ...details,
    ...(foundAt === undefined
      ? []
      : ([['expected hash', `that of sequence ${String(foundAt)}: nothing up to it has changed`]] as const)),
    [
      'outcome',
      findings.length === 0 ? context.out.colors.green('whole') : context.out.colors.red('damaged'),
    ],
  ]);
}

function normal(hash: string): string {
  const text = hash.trim().toLowerCase();
  const hex = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (!/^[0-9a-f]{64}$/u.test(hex))
    throw new CliError('usage', `--expect: "${hash}" is not a hash such as sha256:e3b0c442...`);
  return `sha256:${hex}`;
}
