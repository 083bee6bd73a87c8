import { timestampFromWire } from '@pact-journal/journal-proto';
import type { stream } from '@pact-journal/journal-proto';
import { BootStreamError } from '../errors.ts';
import type { UpdateKind } from '../wire/updates.ts';
import type { Endpoints } from './endpoints.ts';
import { backoffMs, delay, fromServiceError, isRetryable } from './failures.ts';

export interface SubscribeOptions {
  /** Empty or absent: a watcher, who gets virtual cluster and global updates. */
  readonly nodeId?: string;
  /** Default: the one that the node is assigned to; for a watcher, all. */
  readonly vclusterId?: string;
  /** The first sequence wanted, inclusive. */
  readonly fromSequence: number;
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
}

/** One journal entry that concerns the subscriber. */
export interface ConfigUpdate {
  readonly sequence: number;
  /** RFC 3339. */
  readonly timestamp: string;
  readonly kind: UpdateKind;
  /** The JSON that the update carries: an entry, a policy, or a list of patterns. */
  readonly payload: unknown;
}

const KINDS = {
  vclusterChange: 'vcluster_change',
  nodeChange: 'node_change',
  policyChange: 'policy_change',
  blacklistChange: 'blacklist_change',
} as const;

/** Updates from one replica after another: each goes on where the one before ended. */
export async function* followUpdates(
  endpoints: Endpoints,
  options: SubscribeOptions,
): AsyncGenerator<ConfigUpdate, void> {
  const { nodeId = '', vclusterId = '', signal } = options;
  let next = options.fromSequence;
  let failures = 0;
  const aborted = (): boolean => signal?.aborted === true;
  for (let attempt = 0; !aborted(); attempt += 1) {
    const { client, address } = endpoints.at(attempt);
    const call = client.subscribeConfigUpdates(
      { nodeId, vclusterId, fromSequence: next },
      endpoints.metadata(),
    );
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      for await (const message of call as AsyncIterable<stream.ConfigUpdate>) {
        if (message.sequence < next) continue;
        yield toUpdate(message);
        next = message.sequence + 1;
        failures = 0;
      }
      failures += 1; // a subscription does not end by itself
    } catch (error) {
      if (aborted()) return;
      const failure = fromServiceError(error, address);
      if (!isRetryable(failure)) throw failure;
      next = Math.max(next, failure.resumeFrom ?? 0);
      failures += 1;
    } finally {
      signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
    const round = Math.ceil(failures / endpoints.count);
    await delay(backoffMs(round, 50, 5_000), signal).catch(() => undefined); // aborted: the loop ends
  }
}

function toUpdate({ sequence, timestamp, update }: stream.ConfigUpdate): ConfigUpdate {
  if (update === undefined) throw new BootStreamError('corrupt', `update ${sequence} has no kind`);
  return {
    sequence,
    timestamp: timestampFromWire(timestamp),
    kind: KINDS[update.$case],
    payload: JSON.parse(Buffer.from(update.value).toString('utf8')) as unknown,
  };
}
