import { scopeKey } from '../config/layer.ts';
import type { ConfigEntry, EntrySeq, Identity, Scope, Timestamp } from '../types.ts';

/** An emergency that was started and not yet ended. */
export interface ActiveEmergency {
  readonly scope: Scope;
  /** The EmergencyStart entry. */
  readonly sequence: EntrySeq;
  readonly started_at: Timestamp;
  readonly author: Identity;
  readonly reason: string | null;
  /** The start's own ttl, where it has one: then that is its window instead of the policy's. */
  readonly ttl_seconds: number | null;
}

/** Emergencies under way. Follows from the EmergencyStart and EmergencyEnd entries. */
export class EmergencyTable {
  readonly #active = new Map<string, ActiveEmergency>();

  get size(): number {
    return this.#active.size;
  }

  get(scope: Scope): ActiveEmergency | undefined {
    return this.#active.get(scopeKey(scope));
  }

  /** In the order in which they started. */
  all(): Iterable<ActiveEmergency> {
    return this.#active.values();
  }

  start(entry: ConfigEntry): void {
    const { scope, sequence, timestamp, author, emergency_reason, ttl_seconds } = entry;
    this.#active.set(scopeKey(scope), {
      scope,
      sequence,
      started_at: timestamp,
      author,
      reason: emergency_reason,
      ttl_seconds,
    });
  }

  end(scope: Scope): void {
    this.#active.delete(scopeKey(scope));
  }
}
