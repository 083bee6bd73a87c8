import type { AdminOperation, Identity, NewAdminOperation } from '@pact-journal/journal-state';
import type { Operation } from '../gen/pact/journal_admin.ts';
import { operationTypeFromWire, operationTypeToWire } from './enums.ts';
import { nonEmpty, required } from './errors.ts';
import { identityFromWire, identityToWire, scopeFromWire, scopeToWire } from './scope.ts';
import { timestampFromWire, timestampToWire } from './time.ts';

/** For RecordOperation and the append stream: what the server assigns stays empty. */
export function newOperationToWire(operation: NewAdminOperation): Operation {
  return {
    operationId: operation.operation_id,
    operationType: operationTypeToWire(operation.operation_type),
    author: identityToWire(operation.author),
    scope: scopeToWire(operation.scope),
    detail: operation.detail,
    exitCode: operation.exit_code ?? undefined,
    occurredAt: timestampToWire(operation.occurred_at, 'operation.occurred_at'),
    auditSequence: 0,
    timestamp: undefined,
    hash: '',
  };
}

/** `options.author` takes the place of what the message claims. Fails with `WireError`. */
export function newOperationFromWire(
  wire: Operation | undefined,
  options: { readonly author?: Identity } = {},
  at = 'operation',
): NewAdminOperation {
  const operation = required(wire, at);
  return {
    author: options.author ?? identityFromWire(operation.author, `${at}.author`),
    detail: operation.detail,
    exit_code: operation.exitCode ?? null,
    occurred_at: timestampFromWire(operation.occurredAt, `${at}.occurred_at`),
    operation_id: nonEmpty(operation.operationId, `${at}.operation_id`),
    operation_type: operationTypeFromWire(operation.operationType, `${at}.operation_type`),
    scope: scopeFromWire(operation.scope, `${at}.scope`),
  };
}

export function operationToWire(operation: AdminOperation): Operation {
  return {
    ...newOperationToWire(operation),
    auditSequence: operation.audit_sequence,
    timestamp: timestampToWire(operation.timestamp, 'operation.timestamp'),
    hash: operation.hash,
  };
}

/** Fails with `WireError`. */
export function operationFromWire(wire: Operation | undefined, at = 'operation'): AdminOperation {
  const operation = required(wire, at);
  return {
    ...newOperationFromWire(operation, {}, at),
    audit_sequence: operation.auditSequence,
    timestamp: timestampFromWire(operation.timestamp, `${at}.timestamp`),
    hash: operation.hash,
  };
}
