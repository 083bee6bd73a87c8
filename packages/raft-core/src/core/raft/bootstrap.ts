import { encodeConfChange } from '../confchange/codec.ts';
import { RaftCoreError } from '../errors.ts';
import { NO_INDEX, NO_TERM, nextTerm, shiftIndex } from '../ids.ts';
import { NO_BYTES } from '../message.ts';
import type { ConfChange, NodeId } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { applyConfChange } from './membership.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';

/** A founding member. */
export interface BootstrapPeer {
  /** Its node id. */
  readonly id: NodeId;
  /** What the membership change that adds it carries. */
  readonly context?: Uint8Array;
}

/** Writes the membership changes that add `peers` as the first, already committed entries of term 1. */
export function bootstrap(raft: Raft, peers: readonly BootstrapPeer[]): void {
  if (peers.length === 0)
    throw new RaftCoreError('bootstrapRefused', 'cannot bootstrap a group without peers');
  if (raft.log.storage.lastIndex() !== NO_INDEX) {
    throw new RaftCoreError('bootstrapRefused', `cannot bootstrap node ${raft.id}: its log is not empty`);
  }
  const term = nextTerm(NO_TERM);
  becomeFollower(raft, term, NO_NODE);
  const changes = peers.map((peer): ConfChange => ({
    transition: 'auto',
    changes: [{ type: 'addNode', nodeId: peer.id }],
    context: peer.context ?? NO_BYTES,
  }));
  raft.log.append(
    changes.map((change, position) => ({
      term,
      index: shiftIndex(NO_INDEX, position + 1),
      type: 'confChange',
      data: encodeConfChange(change),
    })),
  );
  raft.log.commitTo(shiftIndex(NO_INDEX, peers.length));
  // Applied now as well, so that the node can campaign before its first Ready. Applying them again changes nothing.
  for (const change of changes) applyConfChange(raft, change);
}
