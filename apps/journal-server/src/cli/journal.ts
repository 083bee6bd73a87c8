/** The journal as commands see it: one connection for the time of a command. */
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
  VClusterId,
  VClusterPolicy,
} from '@pact-journal/journal-state';
import type { BlamedItem, NodeDetail, OverlayInfo } from '@pact-journal/journal-proto';
import type { CliContext } from './context.ts';

export type { OverlayInfo } from '@pact-journal/journal-proto';

export interface MemberStatus {
  readonly id: number;
  readonly role: string;
  readonly match_index: number | null;
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  readonly active: boolean | null;
}

export interface EntryPreview {
  readonly delta: StateDelta;
  readonly affected_nodes: number;
  readonly affected_vclusters: number;
  readonly refusal: string;
}

export interface Journal {
  append(
    entry: NewConfigEntry,
  ): Promise<{ readonly sequence: number; readonly index: number; readonly term: number }>;
  preview(entry: NewConfigEntry): Promise<EntryPreview>;
  entry(sequence: EntrySeq): Promise<ConfigEntry>;
  entries(filter: EntryFilter): AsyncIterable<ConfigEntry>;
  diff(
    left: { readonly scope: Scope; readonly as_of: EntrySeq | undefined },
    right: { readonly scope: Scope; readonly as_of: EntrySeq | undefined },
  ): Promise<StateDelta>;
  history(
    kind: DeltaKind,
    key: string,
    filter: { readonly scope: Scope | undefined; readonly limit: number | undefined },
  ): AsyncIterable<ConfigEntry>;
  effectiveConfig(scope: Scope, asOf: EntrySeq | undefined): AsyncIterable<BlamedItem>;
}

export declare function withJournal<Result>(
  context: CliContext,
  use: (journal: Journal) => Promise<Result>,
): Promise<Result>;
export type Unused = [
  AdminOperation,
  ConfigState,
  Identity,
  NewAdminOperation,
  NodeSummary,
  VClusterId,
  VClusterPolicy,
  NodeDetail,
  OverlayInfo,
];
