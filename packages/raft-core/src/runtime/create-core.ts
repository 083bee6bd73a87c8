import type { Random } from '../core/random.ts';
import { RawNode } from '../core/rawnode.ts';
import type { ResolvedOptions } from './options.ts';
import type { Recovered } from './recovery.ts';
import { StorageView } from './storage-view.ts';

/** A core as this runtime drives it: pre-votes, quorum checks, asynchronous writes and safeguards always on. */
export function createCore<Result>(
  options: ResolvedOptions<Result>,
  recovered: Recovered,
  random: Random,
): RawNode {
  return new RawNode({
    id: options.id,
    storage: new StorageView(
      options.logStore,
      options.snapshotStore,
      recovered.hardState,
      recovered.confState,
    ),
    random,
    applied: recovered.applied.index,
    electionTick: options.electionTicks,
    heartbeatTick: options.heartbeatTicks,
    asyncStorageWrites: true,
    maxSizePerMsgBytes: options.messageMaxBytes,
    maxCommittedSizePerReadyBytes: options.applyMaxBytes,
    maxUncommittedEntriesSizeBytes: options.pendingProposalsMaxBytes,
    maxInflightMessages: options.inflightMaxMessages,
    maxInflightBytes: options.inflightMaxBytes,
    checkQuorum: true,
    preVote: true,
    readOnlyOption: options.readOnlyOption,
    // A forwarded proposal has no position, so nobody could tell what became of it.
    disableProposalForwarding: true,
    stepDownOnRemoval: true,
    safeguards: true,
    ...(options.onCoreEvent === undefined ? {} : { onEvent: options.onCoreEvent }),
  });
}
