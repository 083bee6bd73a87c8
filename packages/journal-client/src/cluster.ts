import { journal, timestampFromWire } from '@pact-journal/journal-proto';
import type { MethodDefinition } from '@grpc/grpc-js';
import type { Calls, Repeatability } from './calls.ts';
import { asClientError } from './failures.ts';
import { membersFromWire, statusFromWire } from './mapping.ts';
import type { CallOptions } from './options.ts';
import type {
  BackupReport,
  BackupStatus,
  ClusterStatus,
  MemberStatus,
  NewLearner,
  RebuildReport,
  SnapshotReport,
  StateDigest,
} from './types.ts';

const cluster = journal.ClusterServiceDefinition;
const backup = journal.BackupServiceDefinition;

/** The calls about the Raft group itself. */
export class ClusterCalls {
  readonly #calls: Calls;

  protected constructor(calls: Calls) {
    this.#calls = calls;
  }

  /**
   * What the server that answers knows of itself and the group. One that knows of no leader may have been removed and not
   * know the present members: it counts only where no other server knows more.
   */
  async status(options: CallOptions = {}): Promise<ClusterStatus> {
    return await this.#ask(
      "reading the cluster's status",
      cluster.getStatus,
      {},
      options,
      'read',
      statusFromWire,
      ({ leaderId }) => leaderId !== 0,
    );
  }

  /** As {@link status} says of servers that know of no leader. */
  async members(options: CallOptions = {}): Promise<readonly MemberStatus[]> {
    return await this.#ask(
      'listing members',
      cluster.listMembers,
      {},
      options,
      'read',
      membersFromWire,
      ({ members }) => members.some(({ role }) => role === 'leader'),
    );
  }

  /** Membership changes have no request id: one whose answer got lost fails with `outcomeUnknown`; look at `members`. */
  async addLearner(learner: NewLearner, options: CallOptions = {}): Promise<readonly MemberStatus[]> {
    const { id, raft, grpc, metrics, auto_promote: autoPromote } = learner;
    const request = { id, raft, grpc, metrics, autoPromote };
    return await this.#ask(
      `adding learner ${id}`,
      cluster.addLearner,
      request,
      options,
      'once',
      membersFromWire,
    );
  }

  async promoteMember(id: number, options: CallOptions = {}): Promise<readonly MemberStatus[]> {
    return await this.#ask(
      `promoting member ${id}`,
      cluster.promoteMember,
      { id },
      options,
      'once',
      membersFromWire,
    );
  }

  async removeMember(id: number, options: CallOptions = {}): Promise<readonly MemberStatus[]> {
    return await this.#ask(
      `removing member ${id}`,
      cluster.removeMember,
      { id },
      options,
      'once',
      membersFromWire,
    );
  }

  async replaceMember(
    oldId: number,
    newId: number,
    options: CallOptions = {},
  ): Promise<readonly MemberStatus[]> {
    const doing = `replacing member ${oldId} by ${newId}`;
    return await this.#ask(doing, cluster.replaceMember, { oldId, newId }, options, 'once', membersFromWire);
  }

  /** Without `to`: to whoever is best placed. */
  async transferLeadership(
    to?: number,
    options: CallOptions = {},
  ): Promise<{ readonly leader_id: number; readonly term: number }> {
    const doing = to === undefined ? 'handing leadership over' : `handing leadership to member ${to}`;
    const request = { to: to ?? 0 };
    return await this.#ask(
      doing,
      cluster.transferLeadership,
      request,
      options,
      'once',
      ({ leaderId, term }) => ({
        leader_id: leaderId,
        term,
      }),
    );
  }

  /** On the server that answers. */
  async createSnapshot(options: CallOptions = {}): Promise<SnapshotReport> {
    return await this.#ask('taking a snapshot', cluster.createSnapshot, {}, options, 'write', (answer) => ({
      index: answer.index,
      term: answer.term,
      size_bytes: answer.sizeBytes,
      written_bytes: answer.writtenBytes,
    }));
  }

  /** Of the server that answers. */
  async digest(options: CallOptions = {}): Promise<StateDigest> {
    return await this.#ask('reading the digest', cluster.getDigest, {}, options, 'read', (answer) => ({
      node_id: answer.nodeId,
      applied_index: answer.appliedIndex,
      digest: answer.digest,
      head_hash: answer.headHash,
      entries: answer.entries,
      operations: answer.operations,
    }));
  }

  /** Has the server that answers replace its state by the leader's; it starts anew after the answer. */
  async rebuildReplica(options: CallOptions = {}): Promise<RebuildReport> {
    const doing = 'rebuilding a replica';
    return await this.#ask(doing, cluster.rebuildReplica, {}, options, 'once', (answer) => ({
      node_id: answer.nodeId,
      index: answer.index,
      fetched_bytes: answer.fetchedBytes,
    }));
  }

  /** Has the server that answers export a restore point now; it is one when this resolves. */
  async createBackup(options: CallOptions = {}): Promise<BackupReport> {
    return await this.#ask('creating a backup', backup.createBackup, {}, options, 'write', (answer) => ({
      index: answer.index,
      term: answer.term,
      entries: answer.entries,
      size_bytes: answer.sizeBytes,
      sent_bytes: answer.sentBytes,
      digest: answer.digest,
      url: answer.url,
    }));
  }

  /** How the export is doing: the leader's answer, whatever server is reached. */
  async backupStatus(options: CallOptions = {}): Promise<BackupStatus> {
    const doing = 'reading the state of the backup';
    return await this.#ask(doing, backup.getBackupStatus, {}, options, 'read', (answer) => ({
      node_id: answer.nodeId,
      url: answer.url,
      exporting: answer.exporting,
      exported_index: answer.exportedIndex ?? null,
      lag_entries: answer.lagEntries ?? null,
      lag_seconds: answer.lagSeconds ?? null,
      failure: answer.failure,
      last_snapshot: answer.lastSnapshot === undefined ? null : timestampFromWire(answer.lastSnapshot),
    }));
  }

  async #ask<Request, Response, Result>(
    doing: string,
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: CallOptions,
    repeat: Repeatability,
    convert: (response: Response) => Result,
    wanted?: (response: Response) => boolean,
  ): Promise<Result> {
    try {
      return convert(await this.#calls.unary(method, request, { ...options, doing, repeat }, wanted));
    } catch (error) {
      throw asClientError(error, doing);
    }
  }
}
