/** All of the journal's state, and how entries change what follows from them. */
import { canonicalJson, encodeUtf8, formatHash, pureSha256 } from '../canonical.ts';
import type { Sha256 } from '../canonical.ts';
import { ConfigFold } from '../config/fold.ts';
import type { FoldEntry } from '../config/fold.ts';
import type { Layer } from '../config/layer.ts';
import { ScopeTable } from '../config/scopes.ts';
import { EntryLog } from '../log/entry-log.ts';
import { OperationLog } from '../log/operation-log.ts';
import type { Allocate } from '../log/segment-log.ts';
import { deltaSize } from '../parse/delta.ts';
import { changesConfiguration } from '../parse/entry.ts';
import { msToTimestamp, timestampToMs } from '../timestamp.ts';
import type { ConfigEntry, ConfigState, ComputeNodeId, EntrySeq, Timestamp, VClusterId } from '../types.ts';
import { entrySeq } from '../parse/fields.ts';
import { ApprovalTable } from './approvals.ts';
import { CursorTable } from './cursors.ts';
import { EmergencyTable } from './emergencies.ts';
import { ExpirationQueue } from './expirations.ts';
import { NodeTable, assignedTo } from './nodes.ts';
import type { NodeRecord } from './nodes.ts';
import { OverlayTable } from './overlays.ts';
import { PolicyTable } from './policies.ts';
import { RequestTable } from './requests.ts';

/** Before any command. */
export const FIRST_TIME: Timestamp = '0000-01-01T00:00:00.000Z';

export class Tables {
  readonly sha256: Sha256;
  readonly entries: EntryLog;
  readonly operations: OperationLog;
  readonly scopes = new ScopeTable();
  readonly nodes = new NodeTable();
  readonly policies = new PolicyTable();
  readonly overlays = new OverlayTable();
  readonly approvals = new ApprovalTable();
  readonly emergencies = new EmergencyTable();
  readonly expirations = new ExpirationQueue();
  readonly requests = new RequestTable();
  readonly cursors = new CursorTable();
  readonly fold: ConfigFold;
  /** The latest time that any command carried: what is recorded never goes back behind it. */
  clock: Timestamp = FIRST_TIME;

  constructor(sha256: Sha256 = pureSha256, allocate?: Allocate) {
    this.sha256 = sha256;
    this.entries = new EntryLog(sha256, allocate);
    this.operations = new OperationLog(sha256);
    this.fold = new ConfigFold(this.entries, this.scopes, this.nodes);
  }

  /** Brings the configuration up to an entry that has just been put into the log. */
  followConfig(entry: FoldEntry, layer: Layer): void {
    layer.sequences?.push(entry.sequence);
    layer.newest = entry.sequence;
    this.fold.apply(entry, layer);
  }

  /** Brings everything that follows from the entries alone up to one that has just been put into the log. */
  follow(entry: ConfigEntry, layer: Layer): void {
    this.followConfig(entry, layer);
    if (entry.entry_type === 'EmergencyStart') this.emergencies.start(entry);
    else if (entry.entry_type === 'EmergencyEnd') this.emergencies.end(entry.scope);
    if (entry.expires !== undefined) this.expirations.remove(entry.expires);
    if (entry.policy !== undefined && entry.entry_type === 'PolicyUpdate')
      this.policies.set(entry.policy, entry.sequence);
    if (entry.proposal !== undefined) this.approvals.ask(entry, entry.proposal);
    if (entry.decision !== undefined) this.approvals.decide(entry.decision, entry.sequence);
    if (entry.ttl_seconds !== null && runsOut(entry)) {
      this.expirations.add(entry.sequence, (timestampToMs(entry.timestamp) ?? 0) + entry.ttl_seconds * 1000);
    }
  }

  /** True where the entry, which must exist, is or was pending approval. */
  asksForApproval(sequence: number): boolean {
    return (
      this.entries.typeOf(sequence) === 'PendingApproval' && this.entries.get(sequence).proposal !== undefined
    );
  }

  /** A node's state as others see it: in an emergency while one covers it, else what was last reported. */
  stateOf(node: NodeRecord): ConfigState {
    return this.emergencies.size > 0 && this.inEmergency(node.node_id, assignedTo(node))
      ? 'Emergency'
      : node.state;
  }

  inEmergency(nodeId: ComputeNodeId, vclusterId: VClusterId | null): boolean {
    const { emergencies } = this;
    return (
      emergencies.get('Global') !== undefined ||
      emergencies.get({ Node: nodeId }) !== undefined ||
      (vclusterId !== null && emergencies.get({ VCluster: vclusterId }) !== undefined)
    );
  }

  knowsVCluster(vclusterId: VClusterId): boolean {
    return this.scopes.findVCluster(vclusterId) !== undefined || this.nodes.wasAssigned(vclusterId);
  }

  vclusterVersion(vclusterId: VClusterId): EntrySeq | undefined {
    if (!this.knowsVCluster(vclusterId)) return undefined;
    const own = this.scopes.findVCluster(vclusterId)?.version ?? -1;
    const latest = Math.max(this.scopes.global.version, own, this.policies.version(vclusterId) ?? -1);
    return latest < 0 ? undefined : entrySeq(latest);
  }

  /** When the ttl of an entry runs out; undefined where it has none or was ended. */
  expiryOf(sequence: number): Timestamp | undefined {
    const due = this.expirations.dueMs(sequence);
    return due === undefined ? undefined : msToTimestamp(due);
  }

  /** What a snapshot's summary promises. */
  counts(): { entries: number; nodes: number; operations: number; overlays: number; digest: string } {
    return {
      entries: this.entries.length,
      nodes: this.nodes.size,
      operations: this.operations.length,
      overlays: this.overlays.size,
      digest: this.digest(),
    };
  }

  /** Over all of the state: equal on replicas that applied the same commands. */
  digest(): string {
    const summary = {
      clock: this.clock,
      config: this.scopes.digest.toString(),
      // Left out where there is none, so that a journal without exporters has the digest that it always had.
      ...(this.cursors.size === 0 ? {} : { cursors: this.cursors.capture() }),
      entries: { count: this.entries.length, head: this.entries.headHash },
      nodes: { changes: this.nodes.changes, count: this.nodes.size, digest: this.nodes.digest.toString() },
      operations: { count: this.operations.length, head: this.operations.headHash },
      overlays: { count: this.overlays.size, digest: this.overlays.digest.toString() },
      requests: { digest: this.requests.digest.toString(), total: this.requests.total },
    };
    return formatHash(this.sha256(encodeUtf8(canonicalJson(summary))));
  }
}

/** True where something is left to take back when the ttl runs out. */
function runsOut(entry: ConfigEntry): boolean {
  return (
    changesConfiguration(entry.entry_type) && entry.state_delta !== null && deltaSize(entry.state_delta) > 0
  );
}
