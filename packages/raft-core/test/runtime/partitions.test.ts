import { describe, expect, it } from 'vitest';
import { toNodeId } from '../../src/core/ids.ts';
import type { NodeId } from '../../src/core/types.ts';
import { bytes, Cluster } from './cluster.ts';

const IDS = [toNodeId(1), toNodeId(2), toNodeId(3)];
/** The six one-way links of three nodes: bit n of a mask cuts the n-th. */
const LINKS = IDS.flatMap((from) => IDS.filter((to) => to !== from).map((to) => [from, to] as const));
const MASKS = Array.from({ length: 64 }, (_, mask) => mask);

function cutLinks(mask: number): readonly (readonly [NodeId, NodeId])[] {
  return LINKS.filter((_, bit) => (mask & (1 << bit)) !== 0);
}

/** True when two nodes hear each other, so that they can elect one of them and commit. */
function hasConnectedMajority(mask: number): boolean {
  const cut = new Set(cutLinks(mask).map(([from, to]) => `${from}${to}`));
  return ['12', '13', '23'].some((pair) => !cut.has(pair) && !cut.has([...pair].reverse().join('')));
}

/** Proposes at whoever leads until one proposal is acknowledged, or the time is up. */
async function tryToCommit(cluster: Cluster, text: string, limitMs: number): Promise<boolean> {
  const deadline = cluster.clock.now() + limitMs;
  let acknowledged = false;
  for (let attempt = 0; !acknowledged && cluster.clock.now() < deadline; attempt++) {
    for (const node of cluster.nodes) {
      if (node.status().role !== 'leader') continue;
      node.propose(bytes(`${text} attempt ${attempt} at ${node.id}`)).then(
        () => {
          acknowledged = true;
        },
        () => undefined,
      );
    }
    await cluster.clock.advance(200);
  }
  return acknowledged;
}

describe('one-way partitions of three nodes', () => {
  it.each(MASKS)(
    'mask %i: the logs agree, whoever can commit does, and terms do not run away',
    async (mask) => {
      const leadersByTerm = new Map<number, NodeId>();
      const cluster = await Cluster.start({ seed: mask + 1, options: { proposalTimeoutMs: 5_000 } });
      for (const node of cluster.nodes) {
        node.on('roleChange', ({ role, term }) => {
          if (role !== 'leader') return;
          expect(leadersByTerm.get(term) ?? node.id, `leader of term ${term}`).toBe(node.id);
          leadersByTerm.set(term, node.id);
        });
      }
      const leader = await cluster.leader();
      await cluster.clock.resolve(leader.propose(bytes('before')));
      const { term } = leader.status();
      for (const [from, to] of cutLinks(mask)) cluster.network.block(from, to);

      // Old terms and leases run out first.
      await cluster.clock.advance(10_000);
      if (hasConnectedMajority(mask))
        expect(await tryToCommit(cluster, 'during', 20_000), 'a majority commits').toBe(true);
      await cluster.clock.advance(10_000);
      const highest = Math.max(...cluster.nodes.map((node) => node.status().term));
      // Thirty seconds are room for about twenty elections; without pre-votes and quorum checks there would be as many.
      expect(highest - term, 'terms gained').toBeLessThanOrEqual(8);

      cluster.network.heal();
      expect(await tryToCommit(cluster, 'after', 20_000), 'the healed group commits').toBe(true);
      await cluster.converge();
      const [first, ...others] = [...cluster.sites.values()].map((site) => site.stateMachine.texts);
      for (const texts of others) expect(texts).toEqual(first);
      expect(first?.[0]).toBe('before');
      expect(first?.some((text) => text.startsWith('after'))).toBe(true);
      await cluster.stopAll();
    },
  );
});
