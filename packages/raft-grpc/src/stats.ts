import type { TransportPeerStats } from '@pact-journal/raft-core';
import type { RefusalReason } from './codec/decode.ts';
import type { CallerRefusal } from './inbound/caller-refusal.ts';

/** What is known about the traffic to one peer. */
export interface GrpcPeerStats extends TransportPeerStats {
  /** Where it is reached, `host:port`. */
  readonly address: string;
  /** Of the program at the other end, as it last said; empty where it never did. */
  readonly softwareVersion: string;
  /** Why the last connection could not be made or broke; undefined while both are up. */
  readonly lastError: string | undefined;
}

/** How many messages were refused, by reason. */
export type RefusalCounts = Readonly<Partial<Record<RefusalReason, number>>>;

/** How many callers were refused, by what did not fit. */
export type CallerRefusalCounts = Readonly<Partial<Record<CallerRefusal, number>>>;
