import { defaultPolicy } from '../parse/policy.ts';
import type { EntrySeq, VClusterId, VClusterPolicy } from '../types.ts';

interface PolicyRecord {
  readonly policy: VClusterPolicy;
  readonly sequence: EntrySeq;
}

/** J6: one policy a vCluster. Follows from the PolicyUpdate entries. */
export class PolicyTable {
  readonly #records = new Map<VClusterId, PolicyRecord>();
  readonly #history = new Map<VClusterId, EntrySeq[]>();
  /** Those whose policy wants a second person, by the order in which they began to. */
  readonly #twoPersons = new Set<VClusterId>();
  readonly #defaults = new Map<VClusterId, VClusterPolicy>();

  /** The policy in force. */
  get(vclusterId: VClusterId): VClusterPolicy {
    const stored = this.#records.get(vclusterId);
    if (stored !== undefined) return stored.policy;
    let policy = this.#defaults.get(vclusterId);
    if (policy === undefined) {
      policy = defaultPolicy(vclusterId);
      if (this.#defaults.size >= DEFAULTS_KEPT) this.#defaults.clear();
      this.#defaults.set(vclusterId, policy);
    }
    return policy;
  }

  /** Sequence of the entry that set the policy in force. */
  version(vclusterId: VClusterId): EntrySeq | undefined {
    return this.#records.get(vclusterId)?.sequence;
  }

  /** Ascending sequences of the entries that set a policy. */
  history(vclusterId: VClusterId): readonly EntrySeq[] {
    return this.#history.get(vclusterId) ?? [];
  }

  /** All that were ever set. */
  stored(): Iterable<VClusterPolicy> {
    return [...this.#records.values()].map((record) => record.policy);
  }

  /** vClusters whose policy wants a second person: most often none, and every entry asks. */
  get twoPersons(): ReadonlySet<VClusterId> {
    return this.#twoPersons;
  }

  set(policy: VClusterPolicy, sequence: EntrySeq): void {
    this.#records.set(policy.vcluster_id, { policy, sequence });
    if (!policy.two_person_approval) this.#twoPersons.delete(policy.vcluster_id);
    else this.#twoPersons.add(policy.vcluster_id);
    const history = this.#history.get(policy.vcluster_id);
    if (history === undefined) this.#history.set(policy.vcluster_id, [sequence]);
    else history.push(sequence);
  }
}

/** Asking for a policy that was never set must not fill the memory. */
const DEFAULTS_KEPT = 4096;
