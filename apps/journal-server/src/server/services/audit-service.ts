/** AuditService: remote commands and shell sessions. */
import { journal, newOperationFromWire, operationToWire } from '@pact-journal/journal-proto';
import type { AdminOperation } from '@pact-journal/journal-state';
import { authored, type ServiceContext } from './context.ts';
import { map, pages } from './pages.ts';

const methods = journal.AuditServiceDefinition;
const MESSAGE_LIMITS = { items: 500, bytes: 1024 * 1024 } as const;

export function auditService({ rpc, writer, journal: state }: ServiceContext): journal.AuditServiceServer {
  return {
    recordOperation: rpc.leader(methods.recordOperation, async (request, { requestId, author }) => {
      const operation = newOperationFromWire(request.operation, authored(author));
      return { receipt: await writer.submit({ type: 'RecordOperation', operation }, requestId) };
    }),
    listOperations: rpc.stream(methods.listOperations, ({ from, limit }) => {
      const filter = { ...(from === undefined ? {} : { from }), ...(limit === undefined ? {} : { limit }) };
      const found = pages(state().operations(filter), MESSAGE_LIMITS, roughSize);
      return map(found, (page) => ({ operations: page.map(operationToWire) }));
    }),
  };
}

function roughSize(operation: AdminOperation): number {
  return 512 + 3 * operation.detail.length;
}
