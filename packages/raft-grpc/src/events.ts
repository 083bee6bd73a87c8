import type { NodeId } from '@pact-journal/raft-core';
import type { RefusalReason } from './codec/decode.ts';
import type { CallerRefusal } from './inbound/caller-refusal.ts';

/** Which kind of traffic: `control` (heartbeats, votes, reads) never waits behind `bulk` (entries). */
export type LaneName = 'control' | 'bulk';

/** What happens on the connections, for logs. */
export type TransportEvent =
  /** A connection to a peer is up, its handshake answered. */
  | { readonly type: 'connected'; readonly peer: NodeId; readonly lane: LaneName; readonly address: string }
  /** It could not be made, or broke. The next attempt follows after `retryInMs`. */
  | {
      readonly type: 'disconnected';
      readonly peer: NodeId;
      readonly lane: LaneName;
      readonly address: string;
      readonly reason: string;
      readonly retryInMs: number;
      /** The nodes reached each other, and one of them will not talk to the other; `reason` says why. */
      readonly refused: boolean;
    }
  /** Somebody who called is not let in. */
  | {
      readonly type: 'callerRefused';
      readonly from: string;
      /** Which node it claims to be; 0 where it says nothing. */
      readonly claimed: number;
      readonly kind: CallerRefusal;
      readonly reason: string;
    }
  /** A peer told the time of day in a handshake, which may have been under way for as long as a connection may take. */
  | { readonly type: 'peerTime'; readonly peer: NodeId; readonly timeMs: number }
  /** Something that a peer sent was not delivered. */
  | { readonly type: 'messageRefused'; readonly peer: NodeId; readonly reason: RefusalReason };
