/** The journal over gRPC: each method is one call, its messages mapped to the journal's own types. */
import { randomUUID } from 'node:crypto';
import type { journal, policy } from '@pact-journal/journal-proto';
import { emptyDelta } from '@pact-journal/journal-state';
import type {
  AdminOperation,
  ConfigEntry,
  ConfigState,
  DeltaKind,
  EntryFilter,
  EntrySeq,
  Identity,
  NewAdminOperation,
  NewConfigEntry,
  NodeSummary,
  Scope,
  StateDelta,
  VClusterPolicy,
} from '@pact-journal/journal-state';
import {
  effectiveItemFromWire,
  entryTypeToWire,
  identityToWire,
  journalEntryFromWire,
  newEntryToWire,
  newOperationToWire,
  nodeDetailFromWire,
  nodeFromWire,
  operationFromWire,
  overlayFromWire,
  overlayInfoFromWire,
  policyFromWire,
  policyToWire,
  scopeToWire,
  stateDeltaFromWire,
  type BlamedItem,
  type NodeDetail,
} from '@pact-journal/journal-proto';
import { CliError } from '../errors.ts';
import { appendOnce } from './append.ts';
import type { Calls } from './calls.ts';
import { emergencyFromWire, membersFromWire, receiptFromWire, statusFromWire } from './mapping.ts';
import type {
  ClusterStatus,
  CommandReceipt,
  ConfigPoint,
  EmergencyStatus,
  EntryPreview,
  EntryReceipt,
  HistoryFilter,
  Journal,
  MemberStatus,
  NewLearner,
  NodeFilter,
  OverlayData,
  OverlayInfo,
  SnapshotReport,
} from './types.ts';

export class GrpcJournal implements Journal {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  append(entry: NewConfigEntry): Promise<EntryReceipt> {
    return appendOnce(this.#calls, newEntryToWire(entry), randomUUID());
  }

  async preview(entry: NewConfigEntry): Promise<EntryPreview> {
    const request = { entry: newEntryToWire(entry) };
    const answer = await this.#calls.unary<journal.PreviewEntryResponse>(({ query }, ...rest) =>
      query.previewEntry(request, ...rest),
    );
    return {
      delta: deltaOf(answer.delta),
      affected_nodes: answer.affectedNodes,
      affected_vclusters: answer.affectedVclusters,
      refusal: answer.refusal,
    };
  }

  async entry(sequence: EntrySeq): Promise<ConfigEntry> {
    const answer = await this.#calls.unary<journal.GetJournalEntryResponse>(({ query }, ...rest) =>
      query.getJournalEntry({ sequence }, ...rest),
    );
    return journalEntryFromWire(answer.entry);
  }

  async *entries(filter: EntryFilter): AsyncGenerator<ConfigEntry> {
    const request = {
      scope: wireScope(filter.scope),
      entryTypes: (filter.entry_types ?? []).map(entryTypeToWire),
      author: filter.author,
      fromSequence: filter.from_sequence,
      toSequence: filter.to_sequence,
      limit: filter.limit,
    };
    const pages = this.#calls.stream(({ query }, ...rest) => query.listJournalEntries(request, ...rest));
    for await (const { entries } of pages) for (const entry of entries) yield journalEntryFromWire(entry);
  }

  async diff(left: ConfigPoint, right: ConfigPoint): Promise<StateDelta> {
    const request = {
      leftScope: scopeToWire(left.scope),
      leftAsOf: left.as_of,
      rightScope: scopeToWire(right.scope),
      rightAsOf: right.as_of,
    };
    const answer = await this.#calls.unary<journal.DiffResponse>(({ query }, ...rest) =>
      query.diff(request, ...rest),
    );
    return deltaOf(answer.delta);
  }

  async *history(kind: DeltaKind, key: string, filter: HistoryFilter): AsyncGenerator<ConfigEntry> {
    const request = { kind, key, scope: wireScope(filter.scope), limit: filter.limit };
    const pages = this.#calls.stream(({ query }, ...rest) => query.getHistory(request, ...rest));
    for await (const { entries } of pages) for (const entry of entries) yield journalEntryFromWire(entry);
  }

  async *effectiveConfig(scope: Scope, asOf: EntrySeq | undefined): AsyncGenerator<BlamedItem> {
    const request = { scope: scopeToWire(scope), asOf };
    const pages = this.#calls.stream(({ query }, ...rest) => query.getEffectiveConfig(request, ...rest));
    for await (const { items } of pages) for (const item of items) yield effectiveItemFromWire(item);
  }

  async *nodes(filter: NodeFilter): AsyncGenerator<NodeSummary> {
    const request = {
      vclusterId: filter.vcluster_id,
      configState: filter.config_state,
      deviatingOnly: filter.deviating_only,
      limit: filter.limit,
    };
    const pages = this.#calls.stream(({ nodes }, ...rest) => nodes.listNodes(request, ...rest));
    for await (const { nodes } of pages) for (const node of nodes) yield nodeFromWire(node);
  }

  async node(nodeId: string): Promise<NodeDetail> {
    return nodeDetailFromWire(
      await this.#calls.unary<journal.GetNodeResponse>(({ nodes }, ...rest) =>
        nodes.getNode({ nodeId }, ...rest),
      ),
    );
  }

  async setNodeState(nodeId: string, state: ConfigState): Promise<CommandReceipt> {
    const request = { nodeId, configState: state };
    const answer = await this.#calls.unary<journal.UpdateNodeStateResponse>(
      ({ nodes }, ...rest) => nodes.updateNodeState(request, ...rest),
      randomUUID(),
    );
    return receiptFromWire(answer.receipt);
  }

  async assignNode(nodeId: string, vclusterId: string | null): Promise<CommandReceipt> {
    const request = { nodeId, vclusterId: vclusterId ?? undefined };
    const answer = await this.#calls.unary<journal.AssignNodeResponse>(
      ({ nodes }, ...rest) => nodes.assignNode(request, ...rest),
      randomUUID(),
    );
    return receiptFromWire(answer.receipt);
  }

  async policy(vclusterId: string): Promise<VClusterPolicy> {
    return policyFromWire(
      await this.#calls.unary<policy.VClusterPolicy>(({ policies }, ...rest) =>
        policies.getEffectivePolicy({ vclusterId }, ...rest),
      ),
    );
  }

  async setPolicy(
    vclusterId: string,
    wanted: VClusterPolicy,
    author: Identity,
    message: string,
  ): Promise<{ readonly policy_ref: string }> {
    const request = { vclusterId, policy: policyToWire(wanted), author: identityToWire(author), message };
    const answer = await this.#calls.unary<policy.UpdatePolicyResponse>(
      ({ policies }, ...rest) => policies.updatePolicy(request, ...rest),
      randomUUID(),
    );
    if (!answer.success)
      throw new CliError('refused', `policy of ${vclusterId}: ${answer.error ?? 'refused'}`);
    return { policy_ref: answer.policyRef };
  }

  async emergencies(filter: { readonly stale_only: boolean }): Promise<readonly EmergencyStatus[]> {
    const answer = await this.#calls.unary<journal.ListEmergenciesResponse>(({ query }, ...rest) =>
      query.listEmergencies({ staleOnly: filter.stale_only }, ...rest),
    );
    return answer.emergencies.map(emergencyFromWire);
  }

  async recordOperation(operation: NewAdminOperation): Promise<CommandReceipt> {
    const request = { operation: newOperationToWire(operation) };
    const answer = await this.#calls.unary<journal.RecordOperationResponse>(
      ({ audit }, ...rest) => audit.recordOperation(request, ...rest),
      randomUUID(),
    );
    return receiptFromWire(answer.receipt);
  }

  async *operations(filter: {
    readonly from?: number;
    readonly limit?: number;
  }): AsyncGenerator<AdminOperation> {
    const request = { from: filter.from, limit: filter.limit };
    const pages = this.#calls.stream(({ audit }, ...rest) => audit.listOperations(request, ...rest));
    for await (const { operations } of pages)
      for (const operation of operations) yield operationFromWire(operation);
  }

  async overlay(vclusterId: string): Promise<OverlayData> {
    return overlayFromWire(
      await this.#calls.unary<journal.OverlayResponse>(({ config }, ...rest) =>
        config.getOverlay({ vclusterId }, ...rest),
      ),
    );
  }

  async overlayInfo(vclusterId: string, options: { readonly stored_only: boolean }): Promise<OverlayInfo> {
    const request = { vclusterId, storedOnly: options.stored_only };
    const answer = await this.#calls.unary<journal.DescribeOverlayResponse>(({ overlays }, ...rest) =>
      overlays.describeOverlay(request, ...rest),
    );
    return overlayInfoFromWire(answer.overlay);
  }

  async rebuildOverlay(vclusterId: string): Promise<OverlayInfo> {
    const answer = await this.#calls.unary<journal.RebuildOverlayResponse>(({ overlays }, ...rest) =>
      overlays.rebuildOverlay({ vclusterId }, ...rest),
    );
    return overlayInfoFromWire(answer.overlay);
  }

  async *overlays(): AsyncGenerator<OverlayInfo> {
    const pages = this.#calls.stream(({ overlays }, ...rest) => overlays.listOverlays({}, ...rest));
    for await (const { overlays } of pages)
      for (const overlay of overlays) yield overlayInfoFromWire(overlay);
  }

  async status(): Promise<ClusterStatus> {
    return statusFromWire(
      await this.#calls.unary<journal.GetStatusResponse>(({ cluster }, ...rest) =>
        cluster.getStatus({}, ...rest),
      ),
    );
  }

  async members(): Promise<readonly MemberStatus[]> {
    return membersFromWire(
      await this.#calls.unary<journal.ListMembersResponse>(({ cluster }, ...rest) =>
        cluster.listMembers({}, ...rest),
      ),
    );
  }

  async addLearner({ auto_promote: autoPromote, ...learner }: NewLearner): Promise<readonly MemberStatus[]> {
    return membersFromWire(
      await this.#calls.unary<journal.AddLearnerResponse>(({ cluster }, ...rest) =>
        cluster.addLearner({ ...learner, autoPromote }, ...rest),
      ),
    );
  }

  async promoteMember(id: number): Promise<readonly MemberStatus[]> {
    return membersFromWire(
      await this.#calls.unary<journal.PromoteMemberResponse>(({ cluster }, ...rest) =>
        cluster.promoteMember({ id }, ...rest),
      ),
    );
  }

  async removeMember(id: number): Promise<readonly MemberStatus[]> {
    return membersFromWire(
      await this.#calls.unary<journal.RemoveMemberResponse>(({ cluster }, ...rest) =>
        cluster.removeMember({ id }, ...rest),
      ),
    );
  }

  async replaceMember(oldId: number, newId: number): Promise<readonly MemberStatus[]> {
    return membersFromWire(
      await this.#calls.unary<journal.ReplaceMemberResponse>(({ cluster }, ...rest) =>
        cluster.replaceMember({ oldId, newId }, ...rest),
      ),
    );
  }

  async transferLeadership(
    to: number | undefined,
  ): Promise<{ readonly leader_id: number; readonly term: number }> {
    const answer = await this.#calls.unary<journal.TransferLeadershipResponse>(({ cluster }, ...rest) =>
      cluster.transferLeadership({ to: to ?? 0 }, ...rest),
    );
    return { leader_id: answer.leaderId, term: answer.term };
  }

  async createSnapshot(): Promise<SnapshotReport> {
    const answer = await this.#calls.unary<journal.CreateSnapshotResponse>(({ cluster }, ...rest) =>
      cluster.createSnapshot({}, ...rest),
    );
    return {
      index: answer.index,
      term: answer.term,
      size_bytes: answer.sizeBytes,
      written_bytes: answer.writtenBytes,
    };
  }
}

function wireScope(scope: Scope | undefined): ReturnType<typeof scopeToWire> | undefined {
  return scope === undefined ? undefined : scopeToWire(scope);
}

function deltaOf(wire: Parameters<typeof stateDeltaFromWire>[0] | undefined): StateDelta {
  return wire === undefined ? emptyDelta() : stateDeltaFromWire(wire);
}
