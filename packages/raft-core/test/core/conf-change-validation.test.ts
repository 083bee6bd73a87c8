import { describe, expect, it } from 'vitest';
import { decodeConfChange, isRaftCoreError, NO_BYTES, toNodeId } from '../../src/core/index.ts';
import type { ConfChange } from '../../src/core/index.ts';
import { change, ids, Network } from './network.ts';

const leave: ConfChange = { transition: 'auto', changes: [], context: NO_BYTES };
const addVoter = (id: number): ConfChange => change({ type: 'addNode', nodeId: toNodeId(id) });

/** The leader of a group of one. What is proposed to it stays unapplied until `types` is called. */
function leader(disableConfChangeValidation: boolean) {
  const network = new Network(ids(1), { disableConfChangeValidation });
  const member = network.elect(1);
  const types = () => {
    network.settle();
    return member.log.map(({ type }) => type);
  };
  return { network, member, types };
}

describe('a membership change that does not fit the active configuration', () => {
  it('is replaced by an empty entry: one that leaves a joint configuration outside of one', () => {
    const { member, types } = leader(false);
    member.raw.proposeConfChange(leave);
    expect(types()).toEqual(['normal', 'normal']);
    expect(member.log.at(-1)?.data).toEqual(NO_BYTES);
    expect(member.events).toContainEqual(
      expect.objectContaining({ type: 'confChangeIgnored', reason: { kind: 'notJoint' } }),
    );
  });

  it('is replaced by an empty entry: a second one while the first is not applied', () => {
    const { member, types } = leader(false);
    member.raw.proposeConfChange(change({ type: 'addLearnerNode', nodeId: toNodeId(2) }));
    member.raw.proposeConfChange(change({ type: 'addLearnerNode', nodeId: toNodeId(3) }));
    expect(types()).toEqual(['normal', 'confChangeV2', 'normal']);
    expect(member.raw.confState().learners).toEqual(ids(2));
  });

  it('goes into the log as it is when the caller validates, and fails where it is applied', () => {
    const { member } = leader(true);
    const proposed = member.raw.proposeConfChange(leave);
    expect(member.events.map(({ type }) => type)).not.toContain('confChangeIgnored');
    const ready = member.raw.ready();
    expect(ready.entries.map(({ type, index }) => [type, index])).toEqual([
      ['confChangeV2', proposed?.index],
    ]);
    const before = member.raw.confState();
    let error: unknown;
    try {
      member.raw.applyConfChange(decodeConfChange(ready.entries[0]?.data ?? NO_BYTES));
    } catch (caught) {
      error = caught;
    }
    expect(isRaftCoreError(error, 'invalidConfChange') && error.reason).toBe('notJoint');
    expect(member.raw.confState()).toEqual(before);
  });

  it('goes into the log when the caller validates: several before the first is applied', () => {
    const { member } = leader(true);
    for (const id of [2, 3]) member.raw.proposeConfChange(addVoter(id));
    expect(member.raw.ready().entries.map(({ type }) => type)).toEqual(['confChangeV2', 'confChangeV2']);
  });
});
