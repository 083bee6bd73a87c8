/** Where the metrics that are looked up come from. */
import type { JournalView } from '@pact-journal/journal-state';
import type { OverlayStats } from '@pact-journal/overlay-builder';
import type { RaftStatus } from '@pact-journal/raft-core';
import type { LokiLag } from '../loki/index.ts';
import type { Alarm } from './alarms.ts';
import type { ClusterFacts, DiskFacts } from './facts.ts';

export interface MetricSources {
  readonly facts: () => ClusterFacts;
  readonly raft: () => RaftStatus;
  readonly journal: () => JournalView;
  readonly overlays: () => OverlayStats;
  readonly boots: () => BootCounts;
  /** Emergencies that have outlived their window. */
  readonly staleEmergencies: () => number;
  /** Undefined where no Loki is configured. */
  readonly loki: () => LokiLag | undefined;
  readonly alarms: () => readonly Alarm[];
  readonly disk: () => Promise<DiskFacts | undefined>;
  /** Callers at the Raft port that were not let in, by what did not fit. */
  readonly callerRefusals: () => Readonly<Record<string, number>>;
  /** Calls and connections that were not let in or not kept, handshakes on the Raft port included, by reason. */
  readonly authFailures: () => ReadonlyMap<string, number>;
  /** Beyond it proposals are refused. */
  readonly pendingSizeBytesMax: number;
  readonly version: string;
}

export interface BootCounts {
  readonly bootsActive: number;
  readonly bootsRefused: number;
  readonly subscribers: number;
  readonly updatesSent: number;
  /** Subscribers that fell behind and were told from where to resume. */
  readonly cutOff: number;
}
