/** `pact-journal policy`: a virtual cluster's policy, what it allows, and changes that wait for a second person. */
import { parsePolicy, type VClusterPolicy } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { parseJson, readInput } from '../input.ts';
import { withJournal } from '../journal.ts';
import { addAuthorOptions, authorOf, type AuthorFlags } from '../options.ts';
import { printPending, registerApprovals, registerDecision } from '../policy/approvals.ts';
import { registerEvaluate } from '../policy/evaluate.ts';
import { printFields } from '../tables.ts';

interface SetFlags extends AuthorFlags {
  readonly file?: string;
  readonly set?: readonly string[];
  readonly message?: string;
}

export function register(program: Command, context: CliContext): void {
  const policy = program
    .command('policy')
    .description("Read and set a virtual cluster's policy, ask what it allows, approve changes.");

  policy
    .command('get')
    .description('Show the policy in force: the one that was set, or the defaults.')
    .argument('<vcluster>', 'the virtual cluster')
    .action((vcluster: string) =>
      withJournal(context, async (journal) => {
        const current = await journal.policy(vcluster);
        if (context.globals.json) return context.out.json(current);
        printFields(
          context.out,
          Object.entries(current).map(([name, value]): [string, string] => [
            name,
            typeof value === 'string' ? value : JSON.stringify(value),
          ]),
        );
      }),
    );

  const set = policy
    .command('set')
    .description('Set a policy whole from a file, or some of its fields.')
    .argument('<vcluster>', 'the virtual cluster')
    .option('-f, --file <file>', 'the policy as JSON, - for standard input')
    .option(
      '--set <field=value>',
      'one field of the policy in force, repeatable; the value is JSON or text',
      collect,
    )
    .option('-m, --message <text>', 'why');
  addAuthorOptions(set);
  set.action(async (vcluster: string, flags: SetFlags) => {
    const assignments = flags.set ?? [];
    if (flags.file === undefined && assignments.length === 0) {
      throw new CliError('usage', 'say what to set: --file POLICY.json or --set field=value');
    }
    const given = flags.file === undefined ? undefined : await readObject(context, flags.file);
    await withJournal(context, async (journal) => {
      const base = withoutGivenId(given ?? { ...(await journal.policy(vcluster)) }, vcluster);
      const wanted = checked({ ...base, ...Object.fromEntries(assignments.map(parseAssignment)) }, vcluster);
      const outcome = await journal.setPolicy(vcluster, wanted, authorOf(flags), flags.message ?? '');
      if (context.globals.json) context.out.json(outcome);
      else if ('pending_approval' in outcome) printPending(context, outcome.approval_id);
      else context.out.line(`policy of ${vcluster} set (${outcome.policy_ref})`);
    });
  });

  registerEvaluate(policy, context);
  registerApprovals(policy, context);
  registerDecision(policy, context, { name: 'approve', decision: 'approved' });
  registerDecision(policy, context, { name: 'deny', decision: 'rejected' });
}

/** An id that the journal gave names one version of the policy: the next one gets its own. */
function withoutGivenId(
  policy: Readonly<Record<string, unknown>>,
  vcluster: string,
): Readonly<Record<string, unknown>> {
  const { policy_id: id } = policy;
  const wasGiven =
    typeof id === 'string' && id.startsWith(`${vcluster}@`) && /^\d+$/.test(id.slice(vcluster.length + 1));
  return wasGiven ? { ...policy, policy_id: '' } : policy;
}

function checked(json: unknown, vcluster: string): VClusterPolicy {
  try {
    return parsePolicy(json, vcluster);
  } catch (error) {
    throw new CliError('usage', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

async function readObject(context: CliContext, path: string): Promise<Readonly<Record<string, unknown>>> {
  const input = await readInput(context, path);
  const value = parseJson(input, 'a policy as "pact-journal policy get --json" prints it');
  if (isJsonObject(value)) return value;
  throw new CliError('usage', `${input.name}: must be a JSON object with a policy's fields`);
}

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** `enforcement_mode=warn`, `drift_sensitivity=1.5`, `exec_whitelist=["ps","dmesg"]` */
function parseAssignment(text: string): [string, unknown] {
  const at = text.indexOf('=');
  if (at < 1)
    throw new CliError('usage', `--set: "${text}" is not field=value, for example enforcement_mode=warn`);
  const value = text.slice(at + 1);
  try {
    const json: unknown = JSON.parse(value);
    return [text.slice(0, at), json];
  } catch {
    return [text.slice(0, at), value];
  }
}
