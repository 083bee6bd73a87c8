/** Snapshot references and descriptions, by way of the generated codec: they are rare. */
import { NO_NODE, toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type {
  ConfState,
  Member,
  NodeId,
  Snapshot,
  SnapshotChunkRef,
  SnapshotMetadata,
  StoredSnapshot,
} from '@pact-journal/raft-core';
import type {
  ConfState as WireConfState,
  Member as WireMember,
  Snapshot as WireSnapshot,
  SnapshotChunkRef as WireChunkRef,
  SnapshotMetadata as WireMetadata,
  StoredSnapshot as WireStoredSnapshot,
} from '../gen/raft/v1/raft.ts';
import { MalformedFrame } from './wire.ts';

function confStateToWire(state: ConfState): WireConfState {
  return {
    voters: [...state.voters],
    votersOutgoing: [...state.votersOutgoing],
    learners: [...state.learners],
    learnersNext: [...state.learnersNext],
    autoLeave: state.autoLeave,
  };
}

function ids(values: readonly number[]): NodeId[] {
  return values.map(toNodeId);
}

function confStateFromWire(wire: WireConfState | undefined): ConfState {
  if (wire === undefined) throw new MalformedFrame('a snapshot has no membership');
  return {
    voters: ids(wire.voters),
    votersOutgoing: ids(wire.votersOutgoing),
    learners: ids(wire.learners),
    learnersNext: ids(wire.learnersNext),
    autoLeave: wire.autoLeave,
  };
}

/**
 * Whether this can be the membership of a group that has a snapshot: it has voters, nobody twice in a list or both voter
 * and learner, and what belongs to a joint configuration only in one.
 */
export function isMembership(state: ConfState): boolean {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = state;
  const lists = [voters, votersOutgoing, learners, learnersNext];
  if (lists.some((list) => new Set(list).size !== list.length || list.includes(NO_NODE))) return false;
  const joint = votersOutgoing.length > 0;
  return (
    voters.length > 0 &&
    (joint || !autoLeave) &&
    learners.every((id) => !voters.includes(id) && !votersOutgoing.includes(id)) &&
    learnersNext.every((id) => !voters.includes(id) && votersOutgoing.includes(id))
  );
}

function metadataToWire(metadata: SnapshotMetadata): WireMetadata {
  return { index: metadata.index, term: metadata.term, confState: confStateToWire(metadata.confState) };
}

function metadataFromWire(wire: WireMetadata | undefined): SnapshotMetadata {
  if (wire === undefined) throw new MalformedFrame('a snapshot has no metadata');
  return {
    index: toLogIndex(wire.index),
    term: toTerm(wire.term),
    confState: confStateFromWire(wire.confState),
  };
}

export function snapshotToWire(snapshot: Snapshot): WireSnapshot {
  return { metadata: metadataToWire(snapshot.metadata), data: snapshot.data };
}

/** Throws {@link MalformedFrame}. */
export function snapshotFromWire(wire: WireSnapshot): Snapshot {
  return { metadata: metadataFromWire(wire.metadata), data: plain(wire.data) };
}

/** A plain view of the same bytes: a Buffer's own JSON form and slicing would surprise who asked for a Uint8Array. */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function memberFromWire(wire: WireMember): Member {
  return { id: toNodeId(wire.id), address: wire.address, attributes: { ...wire.attributes } };
}

function chunkToWire(chunk: SnapshotChunkRef): WireChunkRef {
  return { sha256: chunk.sha256, sizeBytes: chunk.sizeBytes };
}

function chunkFromWire(wire: WireChunkRef): SnapshotChunkRef {
  if (!/^[0-9a-f]{64}$/.test(wire.sha256))
    throw new MalformedFrame('a snapshot chunk is not named by its SHA-256');
  return { sha256: wire.sha256, sizeBytes: wire.sizeBytes };
}

export function storedSnapshotToWire(stored: StoredSnapshot): WireStoredSnapshot {
  return {
    metadata: metadataToWire(stored.meta),
    members: stored.meta.members.map((member) => ({
      id: member.id,
      address: member.address,
      attributes: { ...member.attributes },
    })),
    manifest: chunkToWire(stored.manifest),
    chunks: stored.chunks.map(chunkToWire),
  };
}

/** Throws {@link MalformedFrame}. */
export function storedSnapshotFromWire(wire: WireStoredSnapshot | undefined): StoredSnapshot {
  if (wire?.manifest === undefined) throw new MalformedFrame('a snapshot description has no manifest');
  return {
    meta: { ...metadataFromWire(wire.metadata), members: wire.members.map(memberFromWire) },
    manifest: chunkFromWire(wire.manifest),
    chunks: wire.chunks.map(chunkFromWire),
  };
}
