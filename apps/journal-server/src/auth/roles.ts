/**
 * Who may do what: the one table. A call without a row is refused, and so is whatever a row does not allow.
 *
 * | action     | pact-platform-admin | pact-ops-V         | pact-viewer-V      | compute node                              |
 * | ---------- | ------------------- | ------------------ | ------------------ | ----------------------------------------- |
 * | observe    | yes                 | yes                | yes                | where the row says so                     |
 * | read       | everything          | V and what is global | V and what is global | itself, its V, what is global, if the row says so |
 * | write      | everything          | V                  | no                 | itself, if the row says so                |
 * | administer | yes                 | no                 | no                 | no                                        |
 *
 * V stands for a virtual cluster and the nodes that are assigned to it. A node that is assigned to none is the
 * administrators' alone.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import { config, journal, policy, stream } from '@pact-journal/journal-proto';
import type { EntrySeq, JournalView, Scope } from '@pact-journal/journal-state';

export type Action = 'observe' | 'read' | 'write' | 'administer';

/** What a call is about. `everything`: all scopes at once, or one that the request does not name. */
export type Target =
  { readonly kind: 'global' | 'everything' } | { readonly kind: 'vcluster' | 'node'; readonly id: string };

export interface Row {
  readonly path: string;
  readonly action: Action;
  /** Each of them must be allowed. None: the action alone decides. */
  readonly targets: (request: unknown, view: JournalView) => readonly Target[];
  /** Whether a compute node may, as far as it is about itself. */
  readonly node: (request: unknown) => boolean;
  /** Whether a compute node may with some request. */
  readonly nodes: boolean;
  /** Whether a member may on its own behalf, with its id. */
  readonly member: (request: unknown, memberId: number) => boolean;
  readonly members: boolean;
}

interface Rule<Request> {
  readonly on?: (request: Request, view: JournalView) => readonly Target[];
  readonly node?: true | ((request: Request) => boolean);
  readonly member?: true | ((request: Request, memberId: number) => boolean);
}

/** `Request` is what the method's own deserializer makes, so nothing else ever gets here. */
function row<Request>(
  method: Pick<MethodDefinition<Request, unknown>, 'path' | 'requestDeserialize'>,
  action: Action,
  { on, node, member }: Rule<Request> = {},
): Row {
  return {
    path: method.path,
    action,
    targets: (request, view) => on?.(request as Request, view) ?? [],
    node: (request) => (typeof node === 'function' ? node(request as Request) : node === true),
    nodes: node !== undefined,
    member: (request, id) =>
      typeof member === 'function' ? member(request as Request, id) : member === true,
    members: member !== undefined,
  };
}

/** A method of a service that is not the journal's own: health and reflection, decided by their names alone. */
function standard(path: string): Row {
  const yes = (): boolean => true;
  return { path, action: 'observe', targets: () => [], node: yes, nodes: true, member: yes, members: true };
}

const EVERYTHING: readonly Target[] = [{ kind: 'everything' }];
const GLOBAL: readonly Target[] = [{ kind: 'global' }];

/** A scope that is not named is every scope. */
const scope = (wire: config.Scope | undefined): readonly Target[] => {
  switch (wire?.scope?.$case) {
    case 'global':
      return GLOBAL;
    case 'vclusterId':
      return vcluster(wire.scope.value);
    case 'nodeId':
      return node(wire.scope.value);
    case undefined:
      return EVERYTHING;
  }
};
const vcluster = (id: string | undefined): readonly Target[] =>
  id === undefined || id === '' ? EVERYTHING : [{ kind: 'vcluster', id }];
const node = (id: string): readonly Target[] => (id === '' ? EVERYTHING : [{ kind: 'node', id }]);
const everything = (): readonly Target[] => EVERYTHING;

/** An entry that there is not is nobody's secret. */
const entryAt = ({ sequence }: { readonly sequence: number }, view: JournalView): readonly Target[] => {
  const entry = view.entry(sequence as EntrySeq);
  return entry === undefined ? [] : ofScope(entry.scope);
};
const ofScope = (of: Scope): readonly Target[] => {
  if (of === 'Global') return GLOBAL;
  return 'VCluster' in of ? vcluster(of.VCluster) : node(of.Node);
};

/** Where a change that waits for a second person would apply. One that there is not is nobody's secret. */
const proposal = ({ approvalId }: policy.DecideApprovalRequest, view: JournalView): readonly Target[] =>
  /^\d{1,15}$/.test(approvalId) ? entryAt({ sequence: Number(approvalId) }, view) : [];

/** A scope as listings show it. A name alone could be a node's or a virtual cluster's. */
const filtered = (filter: string | undefined): readonly Target[] => {
  const [, kind, id = ''] = /^(vcluster|node) (.+)$/.exec(filter ?? '') ?? [];
  if (filter === 'global') return GLOBAL;
  if (kind === undefined) return EVERYTHING;
  return kind === 'node' ? node(id) : vcluster(id);
};

/** A node, and the virtual cluster that it says it is of where that is not what the journal says. */
const booting = (
  { nodeId, vclusterId }: { readonly nodeId: string; readonly vclusterId: string },
  view: JournalView,
): readonly Target[] => {
  if (nodeId === '') return vcluster(vclusterId);
  const claimed = vclusterId !== '' && vclusterId !== view.assignment(nodeId);
  return claimed ? [...node(nodeId), ...vcluster(vclusterId)] : node(nodeId);
};

/** Taking a node from one virtual cluster to another is a change of both. */
const assigning = ({ nodeId, vclusterId }: journal.AssignNodeRequest): readonly Target[] =>
  vclusterId === undefined ? node(nodeId) : [...node(nodeId), ...vcluster(vclusterId)];

/** What compute nodes report. Nothing of it changes what others are told to be. */
const REPORTS: ReadonlySet<config.EntryType> = new Set([
  config.EntryType.AUTO_CONVERGE,
  config.EntryType.DRIFT_DETECTED,
  config.EntryType.CAPABILITY_CHANGE,
  config.EntryType.EXEC_LOG,
  config.EntryType.SHELL_SESSION,
  config.EntryType.SERVICE_LIFECYCLE,
]);

const configs = journal.ConfigServiceDefinition;
const appends = journal.JournalAppendServiceDefinition;
const nodes = journal.NodeServiceDefinition;
const audit = journal.AuditServiceDefinition;
const cluster = journal.ClusterServiceDefinition;
const backups = journal.BackupServiceDefinition;
const overlays = journal.OverlayServiceDefinition;
const query = journal.JournalQueryServiceDefinition;
const policies = policy.PolicyServiceDefinition;
const boots = stream.BootConfigServiceDefinition;

/** The items of an append stream are decided one by one, by these two. */
export const ENTRY_ROW = row(configs.appendEntry, 'write', {
  on: ({ entry }) => scope(entry?.scope),
  node: ({ entry }) => REPORTS.has(entry?.entryType ?? config.EntryType.UNSPECIFIED),
});
export const OPERATION_ROW = row(audit.recordOperation, 'write', {
  on: ({ operation }) => scope(operation?.scope),
  node: true,
});

/** Decided by the front, which reads their requests itself. */
export const BOOT_ROW = row(boots.streamBootConfig, 'read', { on: booting, node: true });
export const SUBSCRIBE_ROW = row(boots.subscribeConfigUpdates, 'read', { on: booting, node: true });

export const ROLES: readonly Row[] = [
  ENTRY_ROW,
  row(configs.getEntry, 'read', { on: entryAt, node: true }),
  row(configs.getNodeState, 'read', { on: ({ nodeId }) => node(nodeId), node: true }),
  row(configs.listEntries, 'read', { on: (request) => scope(request.scope), node: true }),
  row(configs.getOverlay, 'read', { on: ({ vclusterId }) => vcluster(vclusterId), node: true }),

  row(appends.appendStream, 'write', { node: true }),

  row(nodes.updateNodeState, 'write', { on: ({ nodeId }) => node(nodeId), node: true }),
  row(nodes.assignNode, 'write', { on: assigning }),
  row(nodes.getNode, 'read', { on: ({ nodeId }) => node(nodeId), node: true }),
  row(nodes.listNodes, 'read', { on: ({ vclusterId }) => vcluster(vclusterId) }),

  OPERATION_ROW,
  row(audit.listOperations, 'read', { on: everything }),

  row(cluster.getStatus, 'observe', { member: true }),
  row(cluster.listMembers, 'observe', { member: true }),
  row(cluster.addLearner, 'administer', { member: ({ id }, memberId) => id === memberId }),
  row(cluster.promoteMember, 'administer'),
  row(cluster.removeMember, 'administer'),
  row(cluster.replaceMember, 'administer'),
  row(cluster.transferLeadership, 'administer'),
  row(cluster.createSnapshot, 'administer', { member: true }),
  row(cluster.rebuildReplica, 'administer'),
  row(cluster.getDigest, 'administer', { member: true }),

  row(backups.createBackup, 'administer'),
  row(backups.getBackupStatus, 'observe'),

  row(overlays.describeOverlay, 'read', { on: ({ vclusterId }) => vcluster(vclusterId), node: true }),
  row(overlays.rebuildOverlay, 'write', { on: ({ vclusterId }) => vcluster(vclusterId) }),
  row(overlays.listOverlays, 'read', { on: everything }),

  row(query.getJournalEntry, 'read', { on: entryAt, node: true }),
  row(query.listJournalEntries, 'read', { on: (request) => scope(request.scope), node: true }),
  row(query.getEffectiveConfig, 'read', { on: (request) => scope(request.scope), node: true }),
  row(query.diff, 'read', {
    on: ({ leftScope, rightScope }) => [...scope(leftScope), ...scope(rightScope)],
    node: true,
  }),
  row(query.getHistory, 'read', { on: (request) => scope(request.scope), node: true }),
  row(query.previewEntry, 'read', { on: ({ entry }) => scope(entry?.entry?.scope) }),
  row(query.listEmergencies, 'read', { on: everything }),

  row(policies.evaluate, 'read', { on: (request) => scope(request.scope), node: true }),
  row(policies.getEffectivePolicy, 'read', { on: ({ vclusterId }) => vcluster(vclusterId), node: true }),
  row(policies.updatePolicy, 'write', { on: ({ vclusterId }) => vcluster(vclusterId) }),
  row(policies.listPendingApprovals, 'read', { on: ({ scopeFilter }) => filtered(scopeFilter) }),
  row(policies.decideApproval, 'write', { on: proposal }),

  BOOT_ROW,
  SUBSCRIBE_ROW,

  standard('/grpc.health.v1.Health/Check'),
  standard('/grpc.health.v1.Health/Watch'),
  standard('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo'),
  standard('/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'),
];
