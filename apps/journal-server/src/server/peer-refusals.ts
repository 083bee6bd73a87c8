/** The log and the alarm about peers that this node does not talk to, or that do not talk to it. */
import type { TransportEvent } from '@pact-journal/raft-grpc';
import type { Alarms } from './alarms.ts';
import type { Logger } from './log.ts';

const CODE = 'peerRefused';
/** Callers may claim any id. */
const PEERS_MAX = 64;

export class PeerRefusals {
  readonly #alarms: Alarms;
  readonly #log: Logger;
  /** Why, by peer. Attempts go on every second, so only news are logged. */
  readonly #reasons = new Map<number, string>();

  constructor(alarms: Alarms, log: Logger) {
    this.#alarms = alarms;
    this.#log = log;
  }

  /** To be told of everything that happens on the connections to peers. */
  observe(event: TransportEvent): void {
    const { type: _type, ...details } = event;
    switch (event.type) {
      case 'connected':
        this.#log.info(details, 'connected to a peer');
        this.#forget(event.peer);
        return;
      case 'disconnected':
        if (event.refused) this.#refused(event.peer, event.reason, 'a peer and this node do not talk');
        else this.#log.debug(details, 'no connection to a peer');
        return;
      case 'callerRefused':
        if (event.kind === 'version')
          this.#refused(event.claimed, event.reason, 'refused a peer that cannot be mixed with this node');
        else this.#log.warn(details, 'refused a connection to the Raft port');
        return;
      case 'peerTime':
        return;
      case 'messageRefused':
        this.#log.warn(details, 'refused a message of a peer');
    }
  }

  /** Whoever is no member any more is nothing to look at. */
  keepOnly(members: readonly { readonly id: number }[]): void {
    const ids = new Set(members.map(({ id }) => id));
    for (const peer of [...this.#reasons.keys()]) if (!ids.has(peer)) this.#forget(peer);
  }

  #forget(peer: number): void {
    if (this.#reasons.delete(peer)) this.#raise();
  }

  #refused(peer: number, reason: string, what: string): void {
    if (this.#reasons.get(peer) === reason) return;
    if (this.#reasons.size >= PEERS_MAX && !this.#reasons.has(peer)) return;
    this.#reasons.set(peer, reason);
    this.#log.warn({ peer, reason }, what);
    this.#raise();
  }

  #raise(): void {
    if (this.#reasons.size === 0) return this.#alarms.clear(CODE);
    const words = [...this.#reasons].map(([peer, reason]) => `node ${String(peer)}: ${reason}`);
    this.#alarms.raise(CODE, words.join('; '));
  }
}
