/** What a failed call on the core means for its caller, and for the node. */
import { isRaftCoreError } from '../core/errors.ts';
import type { BasicStatus } from '../core/ready.ts';
import { describeError, isRaftError, OverloadedError, RaftError, type RaftErrorCode } from './errors.ts';

const FATAL: ReadonlySet<RaftErrorCode> = new Set<RaftErrorCode>([
  'storageFailed',
  'stateMachineFailed',
  'damaged',
  'invariantViolated',
]);

/** True where nothing but a restart helps, whoever's call brought it to light. */
export function isFatal(error: RaftError): boolean {
  return FATAL.has(error.code);
}

/** A store that failed while it was doing something. */
export function storageFailed(doing: string, error: unknown): RaftError {
  return isRaftError(error)
    ? error
    : new RaftError('storageFailed', `${doing}: ${describeError(error)}`, error);
}

/** Whatever came out of the core or of what it calls. */
export function classify(error: unknown): RaftError {
  return isRaftError(error)
    ? error
    : new RaftError('invariantViolated', `running the core: ${describeError(error)}`, error);
}

/** What the core needs to be asked for, to word a refusal. */
export interface RefusalContext {
  status(): BasicStatus;
  readonly limitBytes: number;
  notLeader(): RaftError;
}

/**
 * The refusal of a proposal that certainly is not in the log; undefined for any other error. The core appends before it
 * sends, and sending may read the disk: whatever is no refusal may have come after the entry was in the log.
 */
export function refusalOf(error: unknown, doing: string, context: RefusalContext): RaftError | undefined {
  if (!isRaftCoreError(error, 'proposalDropped')) return undefined;
  switch (error.reason) {
    case 'transferInProgress':
      return new RaftError(
        'transferInProgress',
        `${doing}: leadership is being handed to node ${context.status().transferTarget}; ask there in a moment`,
      );
    case 'uncommittedSizeLimit':
      return new OverloadedError(doing, context.status().uncommittedBytes, context.limitBytes, 'bytes');
    default:
      return context.notLeader();
  }
}

/** The outcome of a proposal over which the node failed. */
export function failedOver(doing: string, reason: RaftError): RaftError {
  return new RaftError(
    'outcomeUnknown',
    `${doing}: the node failed meanwhile (${reason.message}); it may or may not be committed`,
    reason,
  );
}
