/** Live updates of the journal, as nodes get them. */
import { setTimeout as delay } from 'node:timers/promises';
import { timestampFromWire, type stream } from '@pact-journal/journal-proto';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { Calls } from './journal/calls.ts';
import { formatTime } from './render.ts';
import { shorten } from './tables.ts';

export interface Subscription {
  /** Empty for a watcher of a virtual cluster. */
  readonly nodeId: string;
  /** Empty for the one that the node is assigned to. */
  readonly vclusterId: string;
  /** The first sequence that is wanted. */
  readonly fromSequence: number;
}

/** What `watch --json` prints. */
export interface Update {
  readonly sequence: number;
  readonly timestamp: string;
  readonly kind: 'vcluster_change' | 'node_change' | 'policy_change' | 'blacklist_change';
  /** An entry, a policy, or patterns, by kind. */
  readonly change: unknown;
}

const KINDS = {
  vclusterChange: 'vcluster_change',
  nodeChange: 'node_change',
  policyChange: 'policy_change',
  blacklistChange: 'blacklist_change',
} as const;

const RECONNECT_PAUSE_MS = 500;

/** Goes on until the signal aborts; a connection that breaks is made again, without a gap or a repeat. */
export async function* followUpdates(
  context: CliContext,
  subscription: Subscription,
  signal: AbortSignal,
): AsyncGenerator<Update> {
  const calls = new Calls(context.globals);
  let next = subscription.fromSequence;
  let connected = false;
  try {
    while (!signal.aborted) {
      const request = { ...subscription, fromSequence: next };
      try {
        const open = calls.stream(
          ({ boots }, ...rest) => boots.subscribeConfigUpdates(request, ...rest),
          signal,
        );
        for await (const message of open) {
          connected = true;
          next = message.sequence + 1;
          yield updateFromWire(message);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!connected || !(error instanceof CliError) || error.code !== 'unreachable') throw error;
        context.out.note(`${error.message}; going on from ${String(next)}`);
      }
      await delay(RECONNECT_PAUSE_MS, undefined, { signal });
    }
  } finally {
    calls.close();
  }
}

function updateFromWire({ sequence, timestamp, update }: stream.ConfigUpdate): Update {
  if (update === undefined) throw new CliError('damaged', `update ${String(sequence)} carries nothing`);
  const { buffer, byteOffset, byteLength } = update.value;
  const change: unknown = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString('utf8'));
  return { sequence, timestamp: timestampFromWire(timestamp), kind: KINDS[update.$case], change };
}

export function printUpdate(context: CliContext, update: Update): void {
  if (context.globals.json) return context.out.json(update);
  const { colors } = context.out;
  context.out.line(
    [
      colors.yellow(String(update.sequence).padStart(6)),
      formatTime(update.timestamp),
      update.kind.padEnd(16),
      shorten(summary(update), 120),
    ].join('  '),
  );
}

function summary({ change }: Update): string {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return JSON.stringify(change);
  const { entry_type: type, message, author } = change as Readonly<Record<string, unknown>>;
  if (typeof type !== 'string') return JSON.stringify(change);
  const principal =
    typeof author === 'object' && author !== null && 'principal' in author ? String(author.principal) : '';
  return `${type} by ${principal}${typeof message === 'string' ? `: ${message}` : ''}`;
}
