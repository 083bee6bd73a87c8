/** Appends one entry over the append stream, which tells where it went; done once however often it is tried. */
import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { OUTCOME_KEY, type journal } from '@pact-journal/journal-proto';
import type { Calls, Connection } from './calls.ts';
import type { EntryReceipt } from './types.ts';

/** How long one attempt may take, in milliseconds. */
const ATTEMPT_TIMEOUT_MS = 15_000;

export function appendOnce(calls: Calls, entry: journal.NewEntry, requestId: string): Promise<EntryReceipt> {
  return calls.anywhere((connection) => attempt(connection, calls.metadata(), entry, requestId));
}

function attempt(
  connection: Connection,
  metadata: Metadata,
  entry: journal.NewEntry,
  requestId: string,
): Promise<EntryReceipt> {
  return new Promise((resolve, reject) => {
    const stream = connection.appends.appendStream(metadata, { deadline: Date.now() + ATTEMPT_TIMEOUT_MS });
    stream.on('data', ({ outcomes }: journal.AppendStreamResponse) => {
      for (const { outcome } of outcomes) {
        if (outcome?.$case === 'appended') {
          const { sequence, index, term } = outcome.value;
          resolve({ sequence: sequence ?? 0, index, term });
        } else if (outcome?.$case === 'failure') {
          reject(failed(outcome.value));
        }
      }
    });
    stream.on('error', reject);
    stream.on('end', () => {
      reject(serviceError(status.UNAVAILABLE, 'the server ended the stream without an answer', true));
    });
    stream.write({ items: [{ correlationId: 1, requestId, command: { $case: 'entry', value: entry } }] });
    stream.end();
  });
}

function failed(failure: journal.AppendFailure): ServiceError {
  return serviceError(failure.code, failure.reason, failure.outcomeUnknown);
}

/** In the shape of a failed unary call, so that both are retried and reported alike. */
function serviceError(code: status, details: string, outcomeUnknown: boolean): ServiceError {
  const metadata = new Metadata();
  if (outcomeUnknown) metadata.set(OUTCOME_KEY, 'unknown');
  const description: StatusObject = { code, details, metadata };
  return Object.assign(new Error(details), description);
}
