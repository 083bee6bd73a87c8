/** Entries made of options: held against the state machine's own limits before anything is sent. */
import { parseNewEntry, type NewConfigEntry } from '@pact-journal/journal-state';
import { CliError } from './errors.ts';

interface OptionValue {
  readonly option: string;
  readonly value: string | null | undefined;
}

/** The option that a field of the entry comes from, and what it was given. */
function optionOf(entry: NewConfigEntry, field: string): OptionValue | undefined {
  switch (field) {
    case 'message':
      return { option: '--message', value: entry.message };
    case 'emergency_reason':
      return { option: '--message', value: entry.emergency_reason };
    case 'author.principal':
      return { option: '--author', value: entry.author.principal };
    case 'author.role':
      return { option: '--role', value: entry.author.role };
    case 'scope.VCluster':
      return {
        option: '--vcluster',
        value: entry.scope !== 'Global' && 'VCluster' in entry.scope ? entry.scope.VCluster : undefined,
      };
    case 'scope.Node':
      return {
        option: '--node',
        value: entry.scope !== 'Global' && 'Node' in entry.scope ? entry.scope.Node : undefined,
      };
    default:
      return undefined;
  }
}

/** The entry in its normal form. Throws a usage error that names the option, what it is and what is allowed. */
export function checkedEntry(entry: NewConfigEntry): NewConfigEntry {
  try {
    return parseNewEntry(entry);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const field = /^[\w.]+(?=: )/u.exec(reason)?.[0] ?? '';
    const from = optionOf(entry, field);
    if (from === undefined) throw new CliError('usage', reason, { cause: error });
    const tooLarge = error instanceof Error && 'code' in error && error.code === 'tooLarge';
    const size = tooLarge ? ` (it has ${String(Buffer.byteLength(from.value ?? ''))} bytes)` : '';
    throw new CliError('usage', `${from.option}${reason.slice(field.length)}${size}`, { cause: error });
  }
}
