/** Live updates of the journal, as nodes get them. */
import { BootClient, type ConfigUpdate } from '@pact-journal/boot-stream';
import { channelOf } from './channel.ts';
import type { CliContext } from './context.ts';
import { formatTime } from './render.ts';
import { shorten } from './tables.ts';

export interface Subscription {
  /** Empty for a watcher of a virtual cluster. */
  readonly nodeId: string;
  /** Empty for the one that the node is assigned to; for a watcher, all. */
  readonly vclusterId: string;
  /** The first sequence that is wanted. */
  readonly fromSequence: number;
}

/** Prints updates until the signal aborts; a connection that breaks is made again, without a gap or a repeat. */
export async function printUpdates(
  context: CliContext,
  subscription: Subscription,
  signal: AbortSignal,
): Promise<void> {
  const { endpoints } = context.globals;
  const client = new BootClient({ endpoints, ...(await channelOf(context.globals)) });
  try {
    for await (const update of client.subscribe({ ...subscription, signal })) print(context, update);
  } finally {
    client.close();
  }
}

function print(context: CliContext, { sequence, timestamp, kind, payload }: ConfigUpdate): void {
  if (context.globals.json) return context.out.json({ sequence, timestamp, kind, change: payload });
  const { colors } = context.out;
  const columns = [colors.yellow(String(sequence).padStart(6)), formatTime(timestamp), kind.padEnd(16)];
  context.out.line([...columns, shorten(summarize(payload), 120)].join('  '));
}

/** An entry in a few words; anything else as it is. */
function summarize(payload: unknown): string {
  if (!isRecord(payload) || typeof payload['entry_type'] !== 'string') return JSON.stringify(payload);
  const author = isRecord(payload['author']) ? String(payload['author']['principal']) : '';
  const message = typeof payload['message'] === 'string' ? `: ${payload['message']}` : '';
  return `${payload['entry_type']} by ${author}${message}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
