/** What becomes of one item of an append stream, where it failed. */
import { status } from '@grpc/grpc-js';
import { OUTCOME_KEY, VALIDATION_CODE_KEY, type journal } from '@pact-journal/journal-proto';
import type { Status } from '../grpc-status.ts';

const RETRYABLE: ReadonlySet<status> = new Set([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

/** What a failed call would have said, as an item's outcome. */
export function failureOutcome(
  correlationId: number,
  { code, details, metadata }: Status,
): journal.AppendOutcome {
  const [validationCode = ''] = metadata.get(VALIDATION_CODE_KEY);
  const value = {
    code,
    reason: details,
    retryable: RETRYABLE.has(code),
    outcomeUnknown: metadata.get(OUTCOME_KEY).includes('unknown'),
    validationCode: String(validationCode),
  };
  return { correlationId, outcome: { $case: 'failure', value } };
}
