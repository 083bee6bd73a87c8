import { DELTA_KINDS } from '@pact-journal/journal-state';
import type {
  DeltaKind,
  EffectiveConfig,
  EffectiveItem,
  EntrySeq,
  JournalView,
  StoredOverlay,
  VClusterId,
  VClusterPolicy,
} from '@pact-journal/journal-state';

/** Just enough of a journal to build overlays from: keys of kind `kernel`, set globally or in a virtual cluster. */
export class TinyJournal {
  readonly #global = new Map<string, EffectiveItem>();
  readonly #own = new Map<VClusterId, Map<string, EffectiveItem>>();
  readonly #versions = new Map<VClusterId, EntrySeq>();
  readonly #overlays = new Map<VClusterId, StoredOverlay>();
  readonly #named = new Set<VClusterId>();
  #next = 0;
  #globalVersion: EntrySeq | undefined;

  readonly view = this.#view();

  name(vclusterId: VClusterId): void {
    this.#named.add(vclusterId);
  }

  setGlobal(key: string, value: string): EntrySeq {
    const sequence = this.#sequence();
    this.#global.set(key, { value, set_by: sequence });
    this.#globalVersion = sequence;
    return sequence;
  }

  set(vclusterId: VClusterId, key: string, value: string): EntrySeq {
    const sequence = this.#sequence();
    const own = this.#own.get(vclusterId) ?? new Map<string, EffectiveItem>();
    own.set(key, { value, set_by: sequence });
    this.#own.set(vclusterId, own);
    this.#named.add(vclusterId);
    this.#versions.set(vclusterId, sequence);
    return sequence;
  }

  store(overlay: StoredOverlay): void {
    if (overlay.version < (this.#overlays.get(overlay.vcluster_id)?.version ?? 0)) return;
    this.#overlays.set(overlay.vcluster_id, overlay);
  }

  #sequence(): EntrySeq {
    return this.#next++ as EntrySeq;
  }

  #version(vclusterId: VClusterId): EntrySeq | undefined {
    const own = this.#named.has(vclusterId) ? this.#versions.get(vclusterId) : undefined;
    if (own === undefined) return this.#named.has(vclusterId) ? this.#globalVersion : undefined;
    return (this.#globalVersion ?? -1) > own ? this.#globalVersion : own;
  }

  #config(vclusterId: VClusterId): EffectiveConfig {
    const merged = new Map([...this.#global, ...(this.#own.get(vclusterId) ?? [])]);
    return configWith(
      'kernel',
      [...merged].sort(([left], [right]) => (left < right ? -1 : 1)),
    );
  }

  #view(): JournalView {
    const part: Partial<JournalView> = {
      knowsVCluster: (vclusterId) => this.#named.has(vclusterId),
      vclusters: () => [...this.#named],
      vclusterVersion: (vclusterId) => this.#version(vclusterId),
      policy: (vclusterId) => policyOf(vclusterId),
      overlay: (vclusterId) => this.#overlays.get(vclusterId),
      effectiveConfig: (scope) =>
        this.#config(typeof scope === 'object' && 'VCluster' in scope ? scope.VCluster : ''),
      overlayInput: (vclusterId) => {
        const version = this.#version(vclusterId);
        if (version === undefined) return undefined;
        return {
          vcluster_id: vclusterId,
          version,
          config: this.#config(vclusterId),
          policy: policyOf(vclusterId),
        };
      },
    };
    return part as JournalView;
  }
}

export function configWith(
  kind: DeltaKind,
  items: Iterable<readonly [string, EffectiveItem]>,
): EffectiveConfig {
  const empty = DELTA_KINDS.map((name) => [name, new Map<string, EffectiveItem>()] as const);
  return { ...Object.fromEntries(empty), [kind]: new Map(items) } as unknown as EffectiveConfig;
}

export function policyOf(vclusterId: VClusterId): VClusterPolicy {
  return {
    vcluster_id: vclusterId,
    policy_id: '',
    updated_at: null,
    drift_sensitivity: 2,
    base_commit_window_seconds: 900,
    emergency_window_seconds: 14_400,
    auto_converge_categories: [],
    require_ack_categories: [],
    enforcement_mode: 'observe',
    role_bindings: [],
    regulated: false,
    two_person_approval: false,
    audit_retention_days: 2555,
    federation_template: null,
    supervisor_backend: 'pact',
    exec_whitelist: [],
    shell_whitelist: [],
    emergency_allowed: true,
    ai_exec_allowed: false,
  };
}
