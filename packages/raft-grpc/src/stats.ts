import type { TransportPeerStats } from '@pact-journal/raft-core';
import type { RefusalReason } from './codec/decode.ts';

/** What is known about the traffic to one peer. */
export interface GrpcPeerStats extends TransportPeerStats {
  readonly address: string;
  /** Why the last connection could not be made or broke; undefined while both are up. */
  readonly lastError: string | undefined;
}

/** How many messages and callers were refused, by reason. */
export type RefusalCounts = Readonly<Partial<Record<RefusalReason | 'caller', number>>>;
