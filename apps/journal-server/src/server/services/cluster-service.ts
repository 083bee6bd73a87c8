/** ClusterService: the Raft group as operators see and change it. */
import { journal } from '@pact-journal/journal-proto';
import type { NotLeaderError } from '@pact-journal/raft-core';
import type { Alarm } from '../alarms.ts';
import type { DigestMark } from '../checkpoints.ts';
import type { CertificateFacts, ClusterFacts, DiskFacts } from '../facts.ts';
import { wasForwarded, type LeaderForwarder } from '../forwarder.ts';
import type { CallContext } from '../rpc.ts';
import { invalid, type ServiceContext } from './context.ts';
import { parseAddress } from '../../config/index.ts';

const methods = journal.ClusterServiceDefinition;
const LEADER_TIMEOUT_MS = 1_000;

/** A node that is to join. */
export interface NewMember {
  readonly id: number;
  readonly raft: string;
  readonly grpc: string;
  readonly metrics: string;
}

/** A snapshot that was taken. */
export interface SnapshotFacts {
  readonly index: number;
  readonly term: number;
  readonly sizeBytes: number;
  /** Bytes that had to be written, because no earlier snapshot had them. */
  readonly writtenBytes: number;
}

/** What the service needs of the node. Changes fail with raft-core's errors, `NotLeaderError` among them. */
export interface ClusterControl {
  facts(): ClusterFacts;
  alarms(): readonly Alarm[];
  /** Undefined where the file system does not tell. */
  disk(): Promise<DiskFacts | undefined>;
  /** Empty without TLS. */
  certificates(): readonly CertificateFacts[];
  addLearner(member: NewMember, promoteWhenCaughtUp: boolean): Promise<void>;
  promote(id: number): Promise<void>;
  remove(id: number): Promise<void>;
  replace(oldId: number, newId: number): Promise<void>;
  /** To whoever is best placed where no node is named. */
  transferLeadership(to: number | undefined): Promise<void>;
  snapshot(): Promise<SnapshotFacts>;
  /** Digests after an index that all nodes remember. */
  digestMarks(after: number): readonly DigestMark[];
  /** Fetches the leader's state; the node starts anew from it after the answer. */
  rebuild(): Promise<{ readonly index: number; readonly fetchedBytes: number }>;
  /** Undefined while this node leads. */
  whoLeads(): NotLeaderError | undefined;
  readonly forwarder: LeaderForwarder;
  readonly version: string;
  readonly startedMs: number;
  readonly insecure: boolean;
}

export function clusterService(
  { rpc, journal: state }: ServiceContext,
  control: ClusterControl,
): journal.ClusterServiceServer {
  const members = (): { members: journal.MemberStatus[] } => ({
    members: [...control.facts().members],
  });
  /** Only the leader knows how far the members are; where it does not answer, what this node knows has to do. */
  const membersByLeader = async ({ incoming }: CallContext): Promise<{ members: journal.MemberStatus[] }> => {
    const elsewhere = control.whoLeads();
    if (elsewhere === undefined || wasForwarded(incoming.header)) return members();
    const deadline = Date.now() + LEADER_TIMEOUT_MS;
    return control.forwarder
      .unary(methods.listMembers, {}, { ...incoming, deadline }, elsewhere)
      .catch(members);
  };
  return {
    getStatus: rpc.unary(methods.getStatus, async (_request, context) => {
      const [disk, byLeader] = await Promise.all([control.disk(), membersByLeader(context)]);
      return { ...statusToWire(control, state()), disk, ...byLeader };
    }),
    listMembers: rpc.unary(methods.listMembers, (_request, context) => membersByLeader(context)),
    addLearner: rpc.leader(methods.addLearner, async (request) => {
      await control.addLearner(newMemberOf(request), request.autoPromote);
      return members();
    }),
    promoteMember: rpc.leader(methods.promoteMember, async ({ id }) => {
      await control.promote(requiredNodeId(id, 'id'));
      return members();
    }),
    removeMember: rpc.leader(methods.removeMember, async ({ id }) => {
      await control.remove(requiredNodeId(id, 'id'));
      return members();
    }),
    replaceMember: rpc.leader(methods.replaceMember, async ({ oldId, newId }) => {
      await control.replace(requiredNodeId(oldId, 'old_id'), requiredNodeId(newId, 'new_id'));
      return members();
    }),
    transferLeadership: rpc.leader(methods.transferLeadership, async ({ to }) => {
      await control.transferLeadership(to === 0 ? undefined : to);
      const { leaderId, term } = control.facts();
      return { leaderId, term };
    }),
    createSnapshot: rpc.unary(methods.createSnapshot, () => control.snapshot()),
    getDigest: rpc.unary(methods.getDigest, ({ marksAfter }) => {
      const { nodeId, appliedIndex } = control.facts();
      const { headHash, entryCount, operationCount } = state();
      return {
        nodeId,
        appliedIndex,
        digest: state().digest(),
        headHash,
        entries: entryCount,
        operations: operationCount,
        marks: marksAfter === undefined ? [] : [...control.digestMarks(marksAfter)],
      };
    }),
    rebuildReplica: rpc.unary(methods.rebuildReplica, async () => ({
      nodeId: control.facts().nodeId,
      ...(await control.rebuild()),
    })),
  };
}

function statusToWire(
  control: ClusterControl,
  state: ReturnType<ServiceContext['journal']>,
): Omit<journal.GetStatusResponse, 'disk'> {
  const facts = control.facts();
  return {
    nodeId: facts.nodeId,
    clusterId: facts.clusterId,
    role: facts.role,
    leaderId: facts.leaderId,
    term: facts.term,
    commitIndex: facts.commitIndex,
    appliedIndex: facts.appliedIndex,
    lastIndex: facts.lastIndex,
    snapshotIndex: facts.snapshotIndex,
    members: [...facts.members],
    alarms: control.alarms().map((alarm) => alarmToWire(alarm, facts.nodeId)),
    entries: state.entryCount,
    operations: state.operationCount,
    headHash: state.headHash,
    version: control.version,
    uptimeMs: Math.round(performance.now() - control.startedMs),
    insecure: control.insecure,
    certificates: control.certificates().map(certificateToWire),
  };
}

function certificateToWire({
  purpose,
  subject,
  path,
  notAfter,
}: CertificateFacts): journal.CertificateStatus {
  return { purpose, subject, path, notAfter: timeToWire(notAfter) };
}

function alarmToWire({ code, message, since }: Alarm, nodeId: number): journal.Alarm {
  return { code, message, since: timeToWire(since), nodeId };
}

function timeToWire(time: Date): { readonly seconds: number; readonly nanos: number } {
  const ms = time.getTime();
  const seconds = Math.floor(ms / 1_000);
  return { seconds, nanos: (ms - seconds * 1_000) * 1_000_000 };
}

function requiredNodeId(id: number, field: string): number {
  if (id < 1) throw invalid(`${field}: must be a node id, a whole number from 1`);
  return id;
}

function newMemberOf({ id, raft, grpc, metrics }: journal.AddLearnerRequest): NewMember {
  for (const [field, text] of Object.entries({ raft, grpc })) {
    if (parseAddress(text) === undefined) throw invalid(`${field}: ${JSON.stringify(text)} is not host:port`);
  }
  if (metrics !== '' && parseAddress(metrics) === undefined)
    throw invalid(`metrics: ${JSON.stringify(metrics)} is not host:port`);
  return { id: requiredNodeId(id, 'id'), raft, grpc, metrics };
}
