import {
  configStateFromWire,
  effectiveItemFromWire,
  entryTypeToWire,
  identityToWire,
  journal,
  journalEntryFromWire,
  newEntryToWire,
  newOperationToWire,
  nodeDetailFromWire,
  nodeFromWire,
  operationFromWire,
  overlayFromWire,
  overlayInfoFromWire,
  pendingApprovalOf,
  policy as policyService,
  policyFromWire,
  policyToWire,
  scopeToWire,
  stateDeltaToWire,
} from '@pact-journal/journal-proto';
import type { BlamedItem, NodeDetail, OverlayInfo } from '@pact-journal/journal-proto';
import type {
  AdminOperation,
  ComputeNodeId,
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
  VClusterId,
  VClusterPolicy,
} from '@pact-journal/journal-state';
import { randomUUID } from 'node:crypto';
import type { MethodDefinition } from '@grpc/grpc-js';
import { Appender } from './append/appender.ts';
import { Calls } from './calls.ts';
import { ClusterCalls } from './cluster.ts';
import { Endpoints } from './endpoints.ts';
import { JournalClientError } from './errors.ts';
import { asClientError } from './failures.ts';
import {
  approvalFromWire,
  deltaOf,
  emergencyFromWire,
  evaluationFromWire,
  optionalScope,
  receiptFromWire,
} from './mapping.ts';
import { resolveOptions } from './options.ts';
import type { CallOptions, JournalClientOptions, WriteOptions } from './options.ts';
import type {
  CommandReceipt,
  ConfigPoint,
  EmergencyStatus,
  EntryPreview,
  EntryReceipt,
  HistoryFilter,
  NodeFilter,
  NodeState,
  OverlayData,
  PendingApproval,
  PolicyEvaluation,
  PolicyQuestion,
  PolicyReceipt,
} from './types.ts';

const config = journal.ConfigServiceDefinition;
const nodes = journal.NodeServiceDefinition;
const audit = journal.AuditServiceDefinition;
const overlays = journal.OverlayServiceDefinition;
const query = journal.JournalQueryServiceDefinition;
const policies = policyService.PolicyServiceDefinition;

/** For finding the leader before an append stream is opened; without an answer any server will do. */
const LOCATE_TIMEOUT_MS = 2_000;

/**
 * A journal, reached through whichever of its servers answers.
 *
 * Calls are repeated until they are decided or their time is up; a write carries a request id, so that repeating it
 * never does it twice. Reads are answered by the replica that is asked, which may be a moment behind the leader.
 * Every method fails with {@link JournalClientError}.
 */
export class JournalClient extends ClusterCalls {
  readonly #endpoints: Endpoints;
  readonly #calls: Calls;
  readonly #appender: Appender;

  /** Connects with the first call. Fails with `invalidOption`. */
  constructor(options: JournalClientOptions) {
    const resolved = resolveOptions(options);
    const endpoints = new Endpoints(resolved);
    const calls = new Calls(endpoints, resolved);
    super(calls);
    this.#endpoints = endpoints;
    this.#calls = calls;
    this.#appender = new Appender(endpoints, resolved, () => this.#leaderAddress());
  }

  /** Closes every connection. What is under way fails: with `outcomeUnknown` where it had been sent. */
  close(): void {
    this.#appender.close();
    this.#endpoints.close();
  }

  // Entries

  /**
   * Appends an entry, or asks a second person to approve it where the policy wants one; it is durable on a quorum, and
   * applied by the leader, when this resolves. Call it as often as you like without waiting: all appends share one stream,
   * and those of one turn of the event loop one message. Their order is the order of their sequences only where each is
   * awaited before the next one is begun.
   */
  async append(entry: NewConfigEntry, options: WriteOptions = {}): Promise<EntryReceipt> {
    const article = /^[AEIOU]/u.test(entry.entry_type) ? 'an' : 'a';
    const doing = `appending ${article} ${entry.entry_type} entry`;
    try {
      const value = newEntryToWire(entry);
      const receipt = await this.#appender.append(doing, { $case: 'entry', value }, options);
      if (receipt.sequence === undefined) {
        throw new JournalClientError('malformed', `${doing}: the server acknowledged without a sequence`);
      }
      const { sequence, index, term, pendingApproval } = receipt;
      return { sequence, index, term, ...(pendingApproval ? { pending_approval: true } : {}) };
    } catch (error) {
      throw asClientError(error, doing);
    }
  }

  /** What an entry would change, without appending it. */
  async preview(entry: NewConfigEntry, options: CallOptions = {}): Promise<EntryPreview> {
    const request = { entry: newEntryToWire(entry) };
    return await this.#read('previewing an entry', query.previewEntry, request, options, (answer) => ({
      delta: deltaOf(answer.delta),
      affected_nodes: answer.affectedNodes,
      affected_vclusters: answer.affectedVclusters,
      refusal: answer.refusal,
      wants_approval: answer.wantsApproval,
    }));
  }

  /** Fails with `refused` (gRPC code NOT_FOUND) where there is none. */
  async entry(sequence: EntrySeq, options: CallOptions = {}): Promise<ConfigEntry> {
    const doing = `reading entry ${sequence}`;
    return await this.#read(doing, query.getJournalEntry, { sequence }, options, (answer) =>
      journalEntryFromWire(answer.entry),
    );
  }

  /** Matching entries in ascending order. */
  entries(filter: EntryFilter = {}, options: CallOptions = {}): AsyncGenerator<ConfigEntry, void> {
    const request = {
      scope: optionalScope(filter.scope),
      entryTypes: (filter.entry_types ?? []).map(entryTypeToWire),
      author: filter.author,
      fromSequence: filter.from_sequence,
      toSequence: filter.to_sequence,
      limit: filter.limit,
    };
    return this.#list('listing entries', query.listJournalEntries, request, options, ({ entries }) =>
      entries.map((entry) => journalEntryFromWire(entry)),
    );
  }

  /** The entries that ever touched a key, oldest first, each with only what it says about the key. */
  history(
    kind: DeltaKind,
    key: string,
    filter: HistoryFilter = { scope: undefined, limit: undefined },
    options: CallOptions = {},
  ): AsyncGenerator<ConfigEntry, void> {
    const request = { kind, key, scope: optionalScope(filter.scope), limit: filter.limit };
    return this.#list(
      `reading the history of ${kind} ${key}`,
      query.getHistory,
      request,
      options,
      ({ entries }) => entries.map((entry) => journalEntryFromWire(entry)),
    );
  }

  /** What turns the left configuration into the right one. */
  async diff(left: ConfigPoint, right: ConfigPoint, options: CallOptions = {}): Promise<StateDelta> {
    const request = {
      leftScope: scopeToWire(left.scope),
      leftAsOf: left.as_of,
      rightScope: scopeToWire(right.scope),
      rightAsOf: right.as_of,
    };
    return await this.#read('comparing configurations', query.diff, request, options, ({ delta }) =>
      deltaOf(delta),
    );
  }

  /** A scope's configuration, now or right after an entry, key by key, each with the entry that set it. */
  effectiveConfig(
    scope: Scope,
    asOf?: EntrySeq,
    options: CallOptions = {},
  ): AsyncGenerator<BlamedItem, void> {
    const request = { scope: scopeToWire(scope), asOf };
    return this.#list('reading a configuration', query.getEffectiveConfig, request, options, ({ items }) =>
      items.map((item) => effectiveItemFromWire(item)),
    );
  }

  /** Emergencies that have not ended, oldest first. */
  async emergencies(
    filter: { readonly stale_only: boolean } = { stale_only: false },
    options: CallOptions = {},
  ): Promise<readonly EmergencyStatus[]> {
    const request = { staleOnly: filter.stale_only };
    return await this.#read('listing emergencies', query.listEmergencies, request, options, (answer) =>
      answer.emergencies.map(emergencyFromWire),
    );
  }

  // Compute nodes

  async nodeState(nodeId: ComputeNodeId, options: CallOptions = {}): Promise<NodeState> {
    const doing = `reading the state of node ${nodeId}`;
    return await this.#read(doing, config.getNodeState, { nodeId }, options, (answer) => ({
      node_id: answer.nodeId,
      config_state: configStateFromWire(answer.configState),
    }));
  }

  /** A node with its own delta. Fails with `refused` where nothing has ever mentioned it. */
  async node(nodeId: ComputeNodeId, options: CallOptions = {}): Promise<NodeDetail> {
    return await this.#read(`reading node ${nodeId}`, nodes.getNode, { nodeId }, options, nodeDetailFromWire);
  }

  /** Sorted by name. */
  nodes(
    filter: NodeFilter = { deviating_only: false },
    options: CallOptions = {},
  ): AsyncGenerator<NodeSummary, void> {
    const request = {
      vclusterId: filter.vcluster_id,
      configState: filter.config_state,
      deviatingOnly: filter.deviating_only,
      limit: filter.limit,
    };
    return this.#list('listing nodes', nodes.listNodes, request, options, (answer) =>
      answer.nodes.map((node) => nodeFromWire(node)),
    );
  }

  async setNodeState(
    nodeId: ComputeNodeId,
    state: ConfigState,
    options: WriteOptions = {},
  ): Promise<CommandReceipt> {
    const doing = `setting the state of node ${nodeId}`;
    return await this.#write(
      doing,
      nodes.updateNodeState,
      { nodeId, configState: state },
      options,
      (answer) => receiptFromWire(answer.receipt),
    );
  }

  /** Null takes the node out of its virtual cluster. */
  async assignNode(
    nodeId: ComputeNodeId,
    vclusterId: VClusterId | null,
    options: WriteOptions = {},
  ): Promise<CommandReceipt> {
    const request = { nodeId, vclusterId: vclusterId ?? undefined };
    return await this.#write(`assigning node ${nodeId}`, nodes.assignNode, request, options, (answer) =>
      receiptFromWire(answer.receipt),
    );
  }

  // Audit

  /** Shares the append stream, see {@link append}. */
  async recordOperation(operation: NewAdminOperation, options: WriteOptions = {}): Promise<CommandReceipt> {
    const doing = `recording operation ${operation.operation_id}`;
    try {
      const value = newOperationToWire(operation);
      const { index, term } = await this.#appender.append(doing, { $case: 'operation', value }, options);
      return { index, term };
    } catch (error) {
      throw asClientError(error, doing);
    }
  }

  /** In ascending order. */
  operations(
    filter: { readonly from?: number; readonly limit?: number } = {},
    options: CallOptions = {},
  ): AsyncGenerator<AdminOperation, void> {
    const request = { from: filter.from, limit: filter.limit };
    return this.#list('listing operations', audit.listOperations, request, options, ({ operations }) =>
      operations.map((operation) => operationFromWire(operation)),
    );
  }

  // Policies

  /** The policy in force: the stored one or the defaults. */
  async policy(vclusterId: VClusterId, options: CallOptions = {}): Promise<VClusterPolicy> {
    const doing = `reading the policy of ${vclusterId}`;
    return await this.#read(doing, policies.getEffectivePolicy, { vclusterId }, options, (answer) =>
      policyFromWire(answer),
    );
  }

  /** In force when this resolves, unless the policy that is in force wants a second person. */
  async setPolicy(
    vclusterId: VClusterId,
    policy: VClusterPolicy,
    author: Identity,
    message: string,
    options: WriteOptions = {},
  ): Promise<PolicyReceipt> {
    const doing = `replacing the policy of ${vclusterId}`;
    const request = { vclusterId, policy: policyToWire(policy), author: identityToWire(author), message };
    return await this.#write(doing, policies.updatePolicy, request, options, (answer): PolicyReceipt => {
      const approvalId = pendingApprovalOf(answer);
      if (approvalId !== undefined) return { pending_approval: true, approval_id: approvalId };
      if (!answer.success) throw new JournalClientError('refused', `${doing}: ${answer.error ?? 'refused'}`);
      return { policy_ref: answer.policyRef };
    });
  }

  /** Whether somebody may do something, without doing it. */
  async evaluate(question: PolicyQuestion, options: CallOptions = {}): Promise<PolicyEvaluation> {
    const { author, scope, action, proposed_change, command } = question;
    const request = {
      author: identityToWire(author),
      scope: scopeToWire(scope),
      action,
      proposedChange: proposed_change === undefined ? undefined : stateDeltaToWire(proposed_change),
      command,
    };
    return await this.#read('asking the policy', policies.evaluate, request, options, evaluationFromWire);
  }

  /** Changes that wait for a second person, oldest first; of one virtual cluster or node, or of all. */
  async approvals(scopeFilter?: string, options: CallOptions = {}): Promise<readonly PendingApproval[]> {
    const request = { scopeFilter };
    return await this.#read(
      'listing approvals',
      policies.listPendingApprovals,
      request,
      options,
      ({ approvals }) => approvals.map(approvalFromWire),
    );
  }

  /** Approves or rejects a pending change. Who asked for it cannot approve it. */
  async decideApproval(
    approvalId: string,
    decision: 'approved' | 'rejected',
    approver: Identity,
    reason?: string,
    options: WriteOptions = {},
  ): Promise<void> {
    const doing = `deciding on approval ${approvalId}`;
    const request = { approvalId, approver: identityToWire(approver), decision, reason };
    await this.#write(doing, policies.decideApproval, request, options, (answer) => {
      if (!answer.success) throw new JournalClientError('refused', `${doing}: ${answer.error ?? 'refused'}`);
    });
  }

  // Overlays

  /** The overlay as boots get it, built on the spot where there is none or a stale one. */
  async overlay(vclusterId: VClusterId, options: CallOptions = {}): Promise<OverlayData> {
    const doing = `reading the overlay of ${vclusterId}`;
    return await this.#read(doing, config.getOverlay, { vclusterId }, options, (answer) =>
      overlayFromWire(answer),
    );
  }

  /** `stored_only` tells what is stored, even if stale, and builds nothing. */
  async overlayInfo(
    vclusterId: VClusterId,
    { stored_only: storedOnly }: { readonly stored_only: boolean } = { stored_only: false },
    options: CallOptions = {},
  ): Promise<OverlayInfo> {
    const doing = `describing the overlay of ${vclusterId}`;
    return await this.#read(doing, overlays.describeOverlay, { vclusterId, storedOnly }, options, (answer) =>
      overlayInfoFromWire(answer.overlay),
    );
  }

  async rebuildOverlay(vclusterId: VClusterId, options: CallOptions = {}): Promise<OverlayInfo> {
    const doing = `rebuilding the overlay of ${vclusterId}`;
    return await this.#write(doing, overlays.rebuildOverlay, { vclusterId }, options, (answer) =>
      overlayInfoFromWire(answer.overlay),
    );
  }

  /** Of all virtual clusters, sorted by name. */
  overlays(options: CallOptions = {}): AsyncGenerator<OverlayInfo, void> {
    return this.#list('listing overlays', overlays.listOverlays, {}, options, (answer) =>
      answer.overlays.map((overlay) => overlayInfoFromWire(overlay)),
    );
  }

  /** Where the leader serves clients, as far as a server knows; undefined where none does. */
  async #leaderAddress(): Promise<string | undefined> {
    try {
      const status = await this.status({ deadlineMs: LOCATE_TIMEOUT_MS });
      const leader = status.members.find(({ id }) => id === status.leader_id);
      return leader === undefined || leader.grpc === '' ? undefined : leader.grpc;
    } catch {
      return undefined;
    }
  }

  async #read<Request, Response, Result>(
    doing: string,
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: CallOptions,
    convert: (response: Response) => Result,
  ): Promise<Result> {
    try {
      return convert(await this.#calls.unary(method, request, { ...options, doing, repeat: 'read' }));
    } catch (error) {
      throw asClientError(error, doing);
    }
  }

  async #write<Request, Response, Result>(
    doing: string,
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: WriteOptions,
    convert: (response: Response) => Result,
  ): Promise<Result> {
    const requestId = options.requestId ?? randomUUID();
    try {
      return convert(
        await this.#calls.unary(method, request, { ...options, doing, requestId, repeat: 'write' }),
      );
    } catch (error) {
      throw asClientError(error, doing);
    }
  }

  async *#list<Request, Response, Item>(
    doing: string,
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: CallOptions,
    convert: (response: Response) => readonly Item[],
  ): AsyncGenerator<Item, void> {
    try {
      const pages = this.#calls.stream(method, request, { ...options, doing, repeat: 'read' });
      for await (const page of pages) yield* convert(page);
    } catch (error) {
      throw asClientError(error, doing);
    }
  }
}
