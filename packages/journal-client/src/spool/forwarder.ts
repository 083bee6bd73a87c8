import { status } from '@grpc/grpc-js';
import { backoffMs, pause } from '../backoff.ts';
import type { JournalClient } from '../client.ts';
import { isJournalClientError } from '../errors.ts';
import type { SpoolRecord } from './record.ts';

/** What the forwarder needs of its spool. */
export interface ForwarderHost {
  readonly client: Pick<JournalClient, 'append' | 'recordOperation'>;
  readonly batchSize: number;
  requestId(record: SpoolRecord): string;
  read(maxCount: number): Promise<readonly SpoolRecord[]>;
  advance(number: number): Promise<void>;
  /** The journal will never take it. */
  rejected(record: SpoolRecord, reason: string): Promise<void>;
  forwarded(count: number): void;
  /** The journal cannot be had now. */
  waiting(reason: string): void;
}

/** For one attempt at a batch; it goes on with the same request ids after it. */
const ATTEMPT_DEADLINE_MS = 30_000;

/** Not the record's fault: a token that has expired, a role that is not granted yet. */
const LATER: ReadonlySet<number> = new Set<number>([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.UNIMPLEMENTED,
]);

type Verdict =
  | { readonly kind: 'done' }
  | { readonly kind: 'again'; readonly reason: string }
  | { readonly kind: 'rejected'; readonly reason: string };

/** Forwards batch after batch until nothing is left, or the signal is aborted. */
export async function forwardAll(host: ForwarderHost, signal: AbortSignal): Promise<void> {
  for (;;) {
    const batch = await host.read(host.batchSize);
    const last = batch.at(-1);
    if (last === undefined) return;
    if (!(await forwardBatch(host, batch, signal))) return;
    await host.advance(last.number + 1);
  }
}

/** Records of a batch are sent together, and again those that were not decided. False where it was given up. */
async function forwardBatch(
  host: ForwarderHost,
  batch: readonly SpoolRecord[],
  signal: AbortSignal,
): Promise<boolean> {
  let left = batch;
  for (let attempt = 1; left.length > 0; attempt += 1) {
    if (signal.aborted) return false;
    const verdicts = await Promise.all(left.map((record) => forward(host, record, signal)));
    const again: SpoolRecord[] = [];
    let reason = '';
    for (const [at, record] of left.entries()) {
      const verdict = verdicts[at];
      if (verdict?.kind === 'again') {
        again.push(record);
        reason = verdict.reason;
      } else if (verdict?.kind === 'rejected') {
        await host.rejected(record, verdict.reason);
      }
    }
    host.forwarded(left.length - again.length);
    left = again;
    if (left.length === 0) return true;
    if (signal.aborted) return false;
    host.waiting(reason);
    await pause(backoffMs(attempt), signal);
  }
  return true;
}

async function forward(host: ForwarderHost, record: SpoolRecord, signal: AbortSignal): Promise<Verdict> {
  const options = { requestId: host.requestId(record), deadlineMs: ATTEMPT_DEADLINE_MS, signal };
  try {
    if (record.write.kind === 'entry') await host.client.append(record.write.value, options);
    else await host.client.recordOperation(record.write.value, options);
    return { kind: 'done' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (!isJournalClientError(error)) return { kind: 'again', reason };
    // Recorded already, before the answer or the journal's memory of request ids was lost.
    if (error.validationCode === 'duplicateOperation') return { kind: 'done' };
    const final = error.code === 'malformed' || (error.code === 'refused' && !LATER.has(error.grpcCode ?? 0));
    return { kind: final ? 'rejected' : 'again', reason };
  }
}
