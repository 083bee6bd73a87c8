import { canonicalJson, decodeUtf8 } from '../canonical.ts';
import type { Sha256 } from '../canonical.ts';
import { JournalStateError } from '../errors.ts';
import { ENTRY_SIZE_BYTES_MAX } from '../limits.ts';
import type { AdminOperation, NewAdminOperation, Timestamp } from '../types.ts';
import { ChainedLog } from './chained-log.ts';

/** The audit log: every remote command and shell session, in the order in which they were recorded. */
export class OperationLog {
  readonly #chain: ChainedLog;
  readonly #positions = new Map<string, number>();

  constructor(sha256: Sha256) {
    this.#chain = new ChainedLog(sha256);
  }

  get length(): number {
    return this.#chain.length;
  }

  get headHash(): string {
    return this.#chain.headHash;
  }

  get segments(): ChainedLog['log'] {
    return this.#chain.log;
  }

  /**
   * Appends an operation in its normal form.
   * @throws JournalStateError `tooLarge`; then nothing is appended
   */
  append(operation: NewAdminOperation, timestamp: Timestamp): AdminOperation {
    const { author, detail, exit_code, occurred_at, operation_id, operation_type, scope } = operation;
    const audit_sequence = this.length;
    const unhashed = {
      audit_sequence,
      author,
      detail,
      exit_code,
      occurred_at,
      operation_id,
      operation_type,
      scope,
      timestamp,
    };
    const json = JSON.stringify(unhashed);
    const size = this.#chain.prepare(json, json.indexOf(',"occurred_at":'));
    if (size > ENTRY_SIZE_BYTES_MAX) {
      throw new JournalStateError(
        'tooLarge',
        `operation: has ${String(size)} bytes, may have ${String(ENTRY_SIZE_BYTES_MAX)}`,
      );
    }
    this.#positions.set(operation_id, audit_sequence);
    return Object.assign(unhashed, { hash: this.#chain.commit() });
  }

  /** Appends an operation read back from a snapshot. False if its hash is wrong. */
  restore(bytes: Uint8Array, text: string, operation: AdminOperation): boolean {
    if (!this.#chain.appendVerified(bytes, text, operation.hash)) return false;
    this.#positions.set(operation.operation_id, operation.audit_sequence);
    return true;
  }

  /** The record, which must exist. */
  get(position: number): AdminOperation {
    return JSON.parse(decodeUtf8(this.#chain.log.record(position))) as AdminOperation;
  }

  find(operationId: string): AdminOperation | undefined {
    const position = this.#positions.get(operationId);
    return position === undefined ? undefined : this.get(position);
  }
}

/** True where both say the same, the journal's own additions aside. */
export function sameOperation(recorded: AdminOperation, given: NewAdminOperation): boolean {
  const { audit_sequence: _position, timestamp: _time, hash: _hash, ...rest } = recorded;
  return canonicalJson(rest) === canonicalJson(given);
}
