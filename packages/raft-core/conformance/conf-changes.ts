import { toNodeId } from '../src/core/index.ts';
import type { ConfChangeSingle, ConfChangeType } from '../src/core/index.ts';

const TYPES: Readonly<Record<string, ConfChangeType>> = {
  v: 'addNode',
  l: 'addLearnerNode',
  r: 'removeNode',
  u: 'updateNode',
};

/** Reads changes such as `v1 l2 r3 u4`. Throws an `Error` in the words that the data files expect. */
export function parseConfChanges(input: string): readonly ConfChangeSingle[] {
  const words = input
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '');
  return words.map((word) => {
    if (word.length < 2) throw new Error(`unknown token ${word}`);
    const type = TYPES[word.charAt(0)];
    if (type === undefined) throw new Error(`unknown input: ${word}`);
    const id = word.slice(1);
    if (!/^\d+$/.test(id)) throw new Error(`strconv.ParseUint: parsing "${id}": invalid syntax`);
    return { type, nodeId: toNodeId(Number(id)) };
  });
}
