import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { LogIndex } from '@pact-journal/raft-core';
import { entryTypeNumber } from '../codec/types.ts';
import type { ReadCommittedRequest, ReadCommittedResponse } from '../gen/raft/v1/raft.ts';
import { checkHello } from './handshake.ts';
import type { InboundHost } from './host.ts';

/** Bytes of data in one answer. */
const ANSWER_BYTES = 1024 * 1024;

/** Serves a member that repairs its log. It shares the limit on snapshot reads. */
export async function readCommitted(
  call: ServerUnaryCall<ReadCommittedRequest, ReadCommittedResponse>,
  callback: sendUnaryData<ReadCommittedResponse>,
  host: InboundHost,
): Promise<void> {
  const { hello, fromIndex, toIndex } = call.request;
  const outcome = checkHello(call, hello, host.hello(), host.options);
  if (typeof outcome !== 'number') {
    host.callerRefused(call.getPeer(), hello?.nodeId ?? 0, outcome.kind, outcome.reason);
    callback({ code: outcome.code, details: outcome.reason });
    return;
  }
  if (fromIndex < 1 || toIndex < fromIndex) {
    const details = `entries ${fromIndex} to ${toIndex} are no range; indexes start with 1`;
    callback({ code: status.INVALID_ARGUMENT, details });
    return;
  }
  if (!host.beginSnapshotRead()) {
    const details = `node ${host.options.id} is serving ${host.options.limits.maxSnapshotReads} reads already`;
    callback({ code: status.UNAVAILABLE, details });
    return;
  }
  try {
    const answer = await host.readCommitted(fromIndex as LogIndex, toIndex as LogIndex, ANSWER_BYTES);
    callback(null, {
      entries: answer.entries.map(({ term, index, type, data }) => ({
        term,
        index,
        type: entryTypeNumber(type),
        data,
      })),
      commitIndex: answer.commitIndex,
      confirmed: answer.confirmed,
      snapshotIndex: answer.snapshot?.meta.index ?? 0,
      snapshotTerm: answer.snapshot?.meta.term ?? 0,
    });
  } catch (error) {
    callback({ code: status.UNAVAILABLE, details: error instanceof Error ? error.message : String(error) });
  } finally {
    host.endSnapshotRead();
  }
}
