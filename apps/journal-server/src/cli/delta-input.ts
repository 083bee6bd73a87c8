/** State deltas given to commands. */
import {
  canonicalJson,
  ENTRY_SIZE_BYTES_MAX,
  parseStateDelta,
  type StateDelta,
} from '@pact-journal/journal-state';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { parseJson, readInput } from './input.ts';

/** Room that an entry needs around its delta, in bytes: author, message, hash and names. */
const ENTRY_OVERHEAD_BYTES = 70 * 1024;

/** Reads and checks a state delta from a file or standard input. Errors name the file and the field. */
export async function readDelta(context: CliContext, path: string): Promise<StateDelta> {
  const input = await readInput(context, path);
  const json = parseJson(input, 'a state delta as "pact-journal capture" prints it');
  let delta: StateDelta;
  try {
    delta = parseStateDelta(json);
  } catch (error) {
    throw new CliError('usage', `${input.name}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const sizeBytes = Buffer.byteLength(canonicalJson(delta));
  const allowedBytes = ENTRY_SIZE_BYTES_MAX - ENTRY_OVERHEAD_BYTES;
  if (sizeBytes > allowedBytes) {
    throw new CliError(
      'usage',
      `${input.name}: the delta has ${String(sizeBytes)} bytes, one entry may carry ${String(allowedBytes)}: commit it in parts`,
    );
  }
  return delta;
}
