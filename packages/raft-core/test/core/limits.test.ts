import { describe, expect, it } from 'vitest';
import { isRaftAssertionError, isRaftCoreError, toLogIndex, toNodeId } from '../../src/core/index.ts';
import type { RawNodeConfig } from '../../src/core/index.ts';
import {
  bytes,
  compactAt,
  confState,
  drain,
  entry,
  hardState,
  ids,
  Network,
  rawNode,
  storageWith,
} from './network.ts';

const three = ids(1, 2, 3);

describe('limits', () => {
  it('proposals beyond the uncommitted size are dropped, and taken again when some are applied', () => {
    const network = new Network(three, { maxUncommittedEntriesSizeBytes: 100 });
    network.elect(1);
    const { raw } = network.member(1);
    raw.propose(bytes('x'.repeat(60)));
    expect(() => raw.propose(bytes('x'.repeat(60)))).toThrowError(
      expect.objectContaining({ reason: 'uncommittedSizeLimit' }),
    );
    network.settle();
    expect(raw.propose(bytes('x'.repeat(60)))).toBeDefined();
  });

  it('one proposal of any size passes, or it never could', () => {
    const network = new Network(three, { maxUncommittedEntriesSizeBytes: 100 });
    network.elect(1);
    expect(network.member(1).raw.propose(bytes('x'.repeat(1000)))).toBeDefined();
  });

  it('committed entries are handed out in pages of maxCommittedSizePerReadyBytes, at least one entry each', () => {
    const log = Array.from({ length: 6 }, (_, position) => entry(1, 3 + position, 'x'.repeat(100)));
    const storage = storageWith(confState(three), log, hardState(1, 0, 8));
    const raw = rawNode(1, storage, { maxCommittedSizePerReadyBytes: 250 });
    const pages = drain(raw, storage).readies.map((ready) => ready.committedEntries.length);
    expect(pages).toEqual([2, 2, 2]);
  });

  it('a follower that needs a snapshot gets nothing else, and probing resumes when the transfer is reported', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(3);
    network.propose('a');
    compactAt(network.member(1), toLogIndex(network.member(1).committed));
    network.only(({ type, to }) => !(type === 'MsgSnap' && to === 3));
    network.run(2);
    const { raw } = network.member(1);
    expect(raw.status().progress.get(toNodeId(3))).toMatchObject({ state: 'snapshot', paused: true });
    network.propose('b');
    expect(network.inFlight).toEqual([]);
    raw.reportSnapshot(toNodeId(3), 'failed');
    expect(raw.status().progress.get(toNodeId(3))).toMatchObject({ state: 'probe', paused: true });
    network.heal();
    network.run(3);
    expect(network.member(3).values).toEqual(['b']);
  });

  it.each<[string, Partial<RawNodeConfig>]>([
    ['an id of 0', { id: toNodeId(0) }],
    ['no heartbeat interval', { heartbeatTick: 0 }],
    ['an election timeout that is not above the heartbeat interval', { heartbeatTick: 5, electionTick: 5 }],
    ['lease-based reads without CheckQuorum', { readOnlyOption: 'leaseBased' }],
    ['an in-flight limit below one message', { maxInflightBytes: 10, maxSizePerMsgBytes: 20 }],
    ['no message in flight', { maxInflightMessages: 0 }],
  ])('a configuration with %s is refused', (_what, options) => {
    let error: unknown;
    try {
      const storage = storageWith(confState(three));
      rawNode(options.id ?? 1, storage, options);
    } catch (caught) {
      error = caught;
    }
    expect(isRaftCoreError(error, 'invalidConfig')).toBe(true);
  });

  it('a term that would leave the range of safe integers is an assertion, not a wrong number', () => {
    const raw = rawNode(1, storageWith(confState(ids(1)), [], hardState(Number.MAX_SAFE_INTEGER, 0, 2)));
    let error: unknown;
    try {
      raw.campaign();
    } catch (caught) {
      error = caught;
    }
    expect(isRaftAssertionError(error)).toBe(true);
  });
});
