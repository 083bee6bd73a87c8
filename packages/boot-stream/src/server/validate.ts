import { ID_SIZE_BYTES_MAX } from '@pact-journal/journal-state';
import { BootStreamError } from '../errors.ts';

/** Refuses an id that is too long or has control characters. Empty passes. */
export function checkId(id: string, field: string): void {
  // At most 3 bytes of UTF-8 a code unit: a short one need not be measured.
  const tooLong =
    id.length > ID_SIZE_BYTES_MAX ||
    (id.length * 3 > ID_SIZE_BYTES_MAX && Buffer.byteLength(id) > ID_SIZE_BYTES_MAX);
  if (tooLong) {
    throw new BootStreamError(
      'invalidRequest',
      `${field} has more than ${ID_SIZE_BYTES_MAX} bytes of UTF-8: ${JSON.stringify(`${id.slice(0, 32)}...`)}`,
    );
  }
  for (let index = 0; index < id.length; index += 1) {
    const unit = id.charCodeAt(index);
    if (unit >= 0x20 && unit !== 0x7f) continue;
    throw new BootStreamError('invalidRequest', `${field} has a control character: ${JSON.stringify(id)}`);
  }
}

/** The value of `x-pact-min-sequence`; undefined where there is none. */
export function parseMinSequence(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const sequence = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(sequence)) return sequence;
  throw new BootStreamError(
    'invalidRequest',
    `x-pact-min-sequence must be a decimal sequence number, not ${JSON.stringify(text.slice(0, 40))}`,
  );
}
