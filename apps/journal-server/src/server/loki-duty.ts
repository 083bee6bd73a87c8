/** The shipper of journal entries to Loki, as configured. */
import { LokiShipper, type LokiObserver } from '../loki/index.ts';
import type { ServerConfig } from '../config/index.ts';
import type { JournalMachine } from './journal-machine.ts';
import type { Logger } from './log.ts';
import type { RaftGroup } from './raft-group.ts';
import type { ReplicaSource } from './replica-source.ts';
import type { JournalWriter } from './writer.ts';

export interface LokiDutyOptions {
  readonly config: ServerConfig;
  readonly machine: JournalMachine;
  readonly group: RaftGroup;
  readonly log: Logger;
}

/** Undefined where no Loki is configured. */
export function createLoki(
  { config, machine, group, log }: LokiDutyOptions,
  parts: { readonly source: ReplicaSource; readonly writer: JournalWriter; readonly observer: LokiObserver },
): LokiShipper | undefined {
  const { url, tenant, username, passwordFile, tokenFile, timeout, ...limits } = config.loki;
  if (url === '') return undefined;
  const { source, writer, observer } = parts;
  return new LokiShipper({
    target: { url, tenant, username, passwordFile, tokenFile, timeoutMs: timeout },
    clusterId: config.cluster.id,
    batchSizeBytesMax: limits.batchSize,
    batchWaitMs: limits.batchWait,
    lineSizeBytesMax: limits.maxLineSize,
    entryAgeMsMax: limits.maxEntryAge,
    journal: () => machine.state,
    appended: (sequence, signal) => source.waitForSequence(sequence, signal),
    confirmLeadership: async () => {
      await group.node.linearizableRead();
      const elsewhere = group.whoLeads();
      if (elsewhere !== undefined) throw elsewhere;
    },
    moveCursor: (cursor) => writer.submit({ type: 'MoveCursor', cursor }, undefined),
    observer,
    log,
  });
}
