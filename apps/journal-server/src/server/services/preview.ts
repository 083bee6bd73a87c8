/** What an entry would change, without appending it. */
import {
  changesConfiguration,
  deltaSize,
  diffConfigs,
  emptyDelta,
  type DeltaKind,
  type EffectiveConfig,
  type EffectiveItem,
  type EntrySeq,
  type JournalState,
  type NewConfigEntry,
  type Scope,
  type StateDelta,
} from '@pact-journal/journal-state';

export interface Preview {
  /** How the scope's configuration would change. */
  readonly delta: StateDelta;
  /** Nodes on which that would show. */
  readonly affectedNodes: number;
  /** Virtual clusters whose overlays would be rebuilt. */
  readonly affectedVclusters: number;
  /** Why it would be refused as things stand; empty where it would not. */
  readonly refusal: string;
  /** It would wait for a second person. */
  readonly wantsApproval: boolean;
}

export function previewEntry(state: JournalState, entry: NewConfigEntry): Preview {
  const refusal = refusalOf(state, entry);
  const delta =
    refusal === '' && changesConfiguration(entry.entry_type) ? changeBy(state, entry) : emptyDelta();
  const changes = deltaSize(delta) > 0;
  return {
    delta,
    affectedNodes: state.nodesReached(entry.scope, delta),
    affectedVclusters: changes ? affectedVClusters(state, entry.scope) : 0,
    refusal,
    wantsApproval: refusal === '' && state.wantsApproval(entry),
  };
}

function refusalOf(state: JournalState, entry: NewConfigEntry): string {
  const result = state.check({ type: 'AppendEntry', entry });
  return result?.type === 'ValidationError' ? result.reason : '';
}

function changeBy(state: JournalState, entry: NewConfigEntry): StateDelta {
  const before = state.effectiveConfig(entry.scope);
  if (entry.entry_type === 'Rollback') {
    return entry.parent === null
      ? emptyDelta()
      : diffConfigs(before, state.effectiveConfigAt(entry.scope, entry.parent));
  }
  return entry.state_delta === null
    ? emptyDelta()
    : diffConfigs(before, withDelta(before, entry.state_delta, state.entryCount as EntrySeq));
}

function withDelta(config: EffectiveConfig, delta: StateDelta, set_by: EntrySeq): EffectiveConfig {
  const merged = (kind: DeltaKind): ReadonlyMap<string, EffectiveItem> => {
    const items = new Map(config[kind]);
    for (const { action, key, value, spec } of delta[kind]) {
      if (action === 'Remove') items.delete(key);
      else items.set(key, { value, set_by, ...(spec === undefined ? {} : { spec }) });
    }
    return items;
  };
  return {
    mounts: merged('mounts'),
    files: merged('files'),
    network: merged('network'),
    services: merged('services'),
    kernel: merged('kernel'),
    packages: merged('packages'),
    gpu: merged('gpu'),
  };
}

function affectedVClusters(state: JournalState, scope: Scope): number {
  if (scope === 'Global') return [...state.vclusters()].length;
  return 'VCluster' in scope ? 1 : 0;
}
