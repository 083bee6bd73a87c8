/** Option groups that several commands share. */
import { userInfo } from 'node:os';
import type { EntrySeq, Identity, PrincipalType, Scope } from '@pact-journal/journal-state';
import { Option, type Command } from 'commander';
import { CliError } from './errors.ts';
import { parseChoice, parseCount } from './parse.ts';

export interface ScopeFlags {
  readonly vcluster?: string;
  readonly node?: string;
  readonly global?: boolean;
}

/** `--vcluster V | --node N | --global`. */
export function addScopeOptions(command: Command, verb: string): Command {
  return command
    .addOption(new Option('--vcluster <name>', `${verb} a virtual cluster`).conflicts(['node', 'global']))
    .addOption(new Option('--node <name>', `${verb} one compute node`).conflicts(['vcluster', 'global']))
    .addOption(new Option('--global', `${verb} every node`).conflicts(['vcluster', 'node']));
}

/** The scope that the flags name, if any. */
export function scopeOf(flags: ScopeFlags): Scope | undefined {
  if (flags.vcluster !== undefined) return { VCluster: nonEmpty('--vcluster', flags.vcluster) };
  if (flags.node !== undefined) return { Node: nonEmpty('--node', flags.node) };
  return flags.global === true ? 'Global' : undefined;
}

/** The scope that the flags name; a usage error when they name none. */
export function requiredScope(flags: ScopeFlags): Scope {
  const scope = scopeOf(flags);
  if (scope === undefined)
    throw new CliError('usage', 'say whom it concerns: --vcluster NAME, --node NAME or --global');
  return scope;
}

function nonEmpty(option: string, value: string): string {
  if (value.trim() === '') throw new CliError('usage', `${option}: the name is empty`);
  return value;
}

export interface AuthorFlags {
  readonly author?: string;
  readonly authorType?: PrincipalType;
  readonly role?: string;
}

/** The role that an author claims who says nothing; it only counts where the server checks no token. */
export const DEFAULT_ROLE = 'pact-platform-admin';

/** `--author`, `--author-type` and `--role`: placeholders that a token overrides. */
export function addAuthorOptions(command: Command): Command {
  return command
    .option('--author <principal>', 'who does it (default: your user name; with --token the token decides)')
    .addOption(
      new Option('--author-type <type>', 'human, agent or service')
        .argParser(parseChoice<PrincipalType>('--author-type', ['Human', 'Agent', 'Service']))
        .default('Human', 'human'),
    )
    .option('--role <role>', 'the role it is done in', DEFAULT_ROLE);
}

/** The author that the flags name, or the operating system's user. */
export function authorOf(flags: AuthorFlags): Identity {
  return {
    principal: flags.author ?? userInfo().username,
    principal_type: flags.authorType ?? 'Human',
    role: flags.role ?? DEFAULT_ROLE,
  };
}

/** A journal position as an argument. */
export function parseSequence(what: string): (text: string) => EntrySeq {
  const count = parseCount(what, 0);
  return (text) => count(text) as EntrySeq;
}
