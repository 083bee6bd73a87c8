import {
  describeMajority,
  jointCommittedIndex,
  jointVoteResult,
  jointVoters,
  majorityCommittedIndex,
  majorityVoteResult,
  NO_INDEX,
  sortedIds,
  toLogIndex,
  toNodeId,
  UNBOUNDED_INDEX,
} from '../src/core/index.ts';
import type {
  AckedIndexer,
  JointConfig,
  LogIndex,
  MajorityConfig,
  NodeId,
  VoteResult,
} from '../src/core/index.ts';
import { parseInteger, valuesOf } from './data-file.ts';
import type { Case } from './data-file.ts';

class Acks implements AckedIndexer {
  readonly #acks: ReadonlyMap<NodeId, LogIndex>;

  constructor(acks: ReadonlyMap<NodeId, LogIndex>) {
    this.#acks = acks;
  }

  ackedIndex(id: NodeId): LogIndex | undefined {
    return this.#acks.get(id);
  }

  /** The same acknowledgements, but for one voter. */
  with(id: NodeId, index: number): Acks {
    return new Acks(new Map(this.#acks).set(id, toLogIndex(index)));
  }
}

const VOTE_NAMES: Readonly<Record<VoteResult, string>> = {
  pending: 'VotePending',
  lost: 'VoteLost',
  won: 'VoteWon',
};

/** How values that are no numbers are repeated in errors: nothing said, and the two votes. */
const VALUE_NUMBERS: Readonly<Record<string, string>> = { _: '0', n: '1', y: '2' };

/** Runs a case of the commit and vote arithmetic. */
export function runQuorum(test: Case): string {
  const ids = valuesOf(test, 'cfg').map((id) => toNodeId(parseInteger(id)));
  const joint = test.args.some((arg) => arg.key === 'cfgj');
  const outgoingValues = valuesOf(test, 'cfgj').filter((value) => value !== 'zero');
  const outgoingIds = outgoingValues.map((id) => toNodeId(parseInteger(id)));
  const config: JointConfig = { incoming: sortedIds(ids), outgoing: sortedIds(outgoingIds) };
  const values = valuesOf(test, test.name === 'vote' ? 'votes' : 'idx');
  const voters = jointVoters(config);
  if (voters.length !== values.length) {
    const map = voters.map((id) => `${id}:{}`).join(' ');
    const numbers = values.map((value) => VALUE_NUMBERS[value] ?? value).join(' ');
    return `error: mismatched input (explicit or _) for voters map[${map}]: [${numbers}]\n`;
  }
  const known = assign([...ids, ...outgoingIds], values);
  switch (test.name) {
    case 'committed': {
      const entries = [...known].map(([id, value]): [NodeId, LogIndex] => [
        id,
        toLogIndex(parseInteger(value)),
      ]);
      const acks = new Acks(new Map(entries));
      return joint ? jointCommitted(config, acks) : majorityCommitted(config.incoming, acks);
    }
    case 'vote': {
      const votes = new Map([...known].map(([id, value]): [NodeId, boolean] => [id, value === 'y']));
      return joint ? jointVote(config, votes) : `${VOTE_NAMES[majorityVoteResult(config.incoming, votes)]}\n`;
    }
    default:
      return 'unknown command\n';
  }
}

/** Hands out the values to the ids in the order of their first appearance; `_` says nothing. */
function assign(ids: readonly NodeId[], values: readonly string[]): ReadonlyMap<NodeId, string> {
  const known = new Map<NodeId, string>();
  [...new Set(ids)].forEach((id, position) => {
    const value = values[position];
    if (value !== undefined && value !== '_') known.set(id, value);
  });
  return known;
}

function majorityCommitted(config: MajorityConfig, acks: Acks): string {
  const index = majorityCommittedIndex(config, acks);
  let text = describeMajority(config, acks);
  const check = (other: LogIndex, how: string): void => {
    if (other !== index) text += `${show(other)} <-- ${how}\n`;
  };
  check(secondOpinion(config, acks), 'via alternative computation');
  check(jointCommittedIndex({ incoming: config, outgoing: [] }, acks), 'via zero-joint quorum');
  check(jointCommittedIndex({ incoming: config, outgoing: config }, acks), 'via self-joint quorum');
  for (const id of config) {
    const own = acks.ackedIndex(id) ?? NO_INDEX;
    if (index <= own || own === NO_INDEX) continue;
    // A voter that is behind does not matter: it may as well be further behind.
    check(majorityCommittedIndex(config, acks.with(id, own - 1)), `overlaying ${id}->${own - 1}`);
    check(majorityCommittedIndex(config, acks.with(id, 0)), `overlaying ${id}->0`);
  }
  return `${text}${show(index)}\n`;
}

function jointCommitted(config: JointConfig, acks: Acks): string {
  const index = jointCommittedIndex(config, acks);
  const swapped = jointCommittedIndex({ incoming: config.outgoing, outgoing: config.incoming }, acks);
  const symmetry = swapped === index ? '' : `${show(swapped)} <-- via symmetry\n`;
  return `${describeMajority(jointVoters(config), acks)}${symmetry}${show(index)}\n`;
}

function jointVote(config: JointConfig, votes: ReadonlyMap<NodeId, boolean>): string {
  const result = jointVoteResult(config, votes);
  const swapped = jointVoteResult({ incoming: config.outgoing, outgoing: config.incoming }, votes);
  const symmetry = swapped === result ? '' : `${VOTE_NAMES[swapped]} <-- via symmetry\n`;
  return `${symmetry}${VOTE_NAMES[result]}\n`;
}

/** Another way to the committed index: the highest one for which enough voters have at least that much. */
function secondOpinion(config: MajorityConfig, acks: Acks): LogIndex {
  if (config.length === 0) return UNBOUNDED_INDEX;
  const indexes = config.map((id) => acks.ackedIndex(id) ?? NO_INDEX);
  const enough = indexes.filter(
    (candidate) => indexes.filter((index) => index >= candidate).length > config.length / 2,
  );
  return toLogIndex(Math.max(0, ...enough));
}

function show(index: LogIndex): string {
  return index === UNBOUNDED_INDEX ? '∞' : String(index);
}
