import { detached } from '../canonical.ts';
import { detachedScope } from '../parse/scope.ts';
import { timestampToMs } from '../timestamp.ts';
import type {
  ConfigEntry,
  Decision,
  EntrySeq,
  EntryType,
  Identity,
  Proposal,
  Scope,
  Timestamp,
} from '../types.ts';
import { ExpirationQueue } from './expirations.ts';

/** A change that waits for a second person. */
export interface PendingApproval {
  /** The PendingApproval entry that asks. */
  readonly sequence: EntrySeq;
  /** Of the entry that approval appends. */
  readonly entry_type: EntryType;
  readonly scope: Scope;
  readonly requester: Identity;
  readonly created_at: Timestamp;
  /** From this time on it can no longer be approved. */
  readonly expires_at: Timestamp;
}

/** Changes that wait for a second person. Follows from the entries that carry a proposal or a decision. */
export class ApprovalTable {
  readonly #pending = new Map<number, PendingApproval>();
  readonly #expirations = new ExpirationQueue();
  /** By the entry that asked, the one that decided. */
  readonly #decided = new Map<number, EntrySeq>();

  get(sequence: number): PendingApproval | undefined {
    return this.#pending.get(sequence);
  }

  /** The entry that decided on a proposal; undefined where it is pending, or was none. */
  decidedBy(sequence: number): EntrySeq | undefined {
    return this.#decided.get(sequence);
  }

  /** In the order in which they were asked for. */
  all(): Iterable<PendingApproval> {
    return this.#pending.values();
  }

  /** When the first one's time is up, milliseconds since 1970. */
  get nextDueMs(): number | undefined {
    return this.#expirations.nextDueMs;
  }

  /** Sequences of those whose time is up at `nowMs`, in order of time. */
  dueAt(nowMs: number): readonly number[] {
    return this.#expirations.dueAt(nowMs);
  }

  ask({ sequence, scope, author, timestamp }: ConfigEntry, { entry_type, expires_at }: Proposal): void {
    this.#pending.set(sequence, {
      sequence,
      entry_type,
      // Kept for half an hour, and parts of a command's text would keep all of that.
      scope: detachedScope(scope),
      requester: {
        principal: detached(author.principal),
        principal_type: author.principal_type,
        role: detached(author.role),
      },
      created_at: timestamp,
      expires_at,
    });
    this.#expirations.add(sequence, timestampToMs(expires_at) ?? 0);
  }

  decide({ pending }: Decision, by: EntrySeq): void {
    this.#pending.delete(pending);
    this.#expirations.remove(pending);
    this.#decided.set(pending, by);
  }
}
