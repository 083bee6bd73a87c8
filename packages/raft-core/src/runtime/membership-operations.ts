/** The one membership change that may be under way, and who waits for it. */
import type { ConfState, Entry, LogIndex, Term } from '../core/types.ts';
import type { ProposalPosition } from '../core/rawnode.ts';
import { RaftError } from './errors.ts';
import { pending } from './membership-rules.ts';

interface Operation {
  readonly position: ProposalPosition;
  readonly startedAt: number;
  readonly resolve: () => void;
  readonly reject: (error: RaftError) => void;
  /** The joint configuration was entered; it ends when that is left. */
  joint: boolean;
}

/** Follows a change from its proposal to the configuration that it leads to. */
export class MembershipOperations {
  #operation: Operation | undefined;

  get pending(): boolean {
    return this.#operation !== undefined;
  }

  /** `propose` puts the change into the log, or throws. Resolves when it is applied and any joint configuration left. */
  start(now: number, propose: () => ProposalPosition): Promise<void> {
    if (this.#operation !== undefined) return Promise.reject(pending('another change is under way'));
    return new Promise((resolve, reject) => {
      this.#operation = { position: propose(), startedAt: now, resolve, reject, joint: false };
    });
  }

  /** A change was applied at `entry`, giving `confState`; undefined if it did not fit and nothing changed. */
  changeApplied(entry: Entry, confState: ConfState | undefined): void {
    const operation = this.#operation;
    if (operation === undefined) return;
    if (operation.joint) {
      if (confState?.votersOutgoing.length === 0) this.#finish();
      return;
    }
    if (entry.index !== operation.position.index) return;
    if (entry.term !== operation.position.term)
      this.#finish(notCommitted(entry.index, operation.position.term));
    else if (confState === undefined) {
      this.#finish(
        new RaftError(
          'membershipInvalid',
          'changing the membership: the change does not fit the configuration it met',
        ),
      );
    } else if (confState.votersOutgoing.length > 0) operation.joint = true;
    else this.#finish();
  }

  /** Entries that are no membership changes were applied. */
  othersApplied(entries: readonly Entry[]): void {
    const operation = this.#operation;
    const first = entries[0];
    if (operation === undefined || operation.joint || first === undefined) return;
    const { index, term } = operation.position;
    const entry = entries[index - first.index];
    if (entry === undefined) return;
    // The core puts an empty entry in place of a change that must wait.
    if (entry.term === term)
      this.#finish(pending('an earlier change, or the first entry of this leader, is not applied yet'));
    else this.#finish(notCommitted(index, term));
  }

  /** A snapshot took the place of the log up to `index`. */
  coveredBySnapshot(index: LogIndex): void {
    if (this.#operation !== undefined && this.#operation.position.index <= index) {
      this.#finish(unknown('a snapshot of the leader covers its place in the log'));
    }
  }

  expire(now: number, timeoutMs: number): void {
    if (timeoutMs === 0 || this.#operation === undefined || now - this.#operation.startedAt < timeoutMs)
      return;
    this.#finish(unknown(`there was no outcome within ${timeoutMs} ms`));
  }

  fail(error: RaftError): void {
    if (this.#operation !== undefined) this.#finish(unknown('the node stopped before it was decided', error));
  }

  #finish(error?: RaftError): void {
    const operation = this.#operation;
    this.#operation = undefined;
    if (error === undefined) operation?.resolve();
    else operation?.reject(error);
  }
}

function notCommitted(index: LogIndex, term: Term): RaftError {
  return new RaftError(
    'notCommitted',
    `changing the membership: another entry than that of term ${term} was committed at ${index}; try again`,
  );
}

function unknown(why: string, cause?: unknown): RaftError {
  return new RaftError(
    'outcomeUnknown',
    `changing the membership: ${why}; look at the members to see whether it happened`,
    cause,
  );
}
