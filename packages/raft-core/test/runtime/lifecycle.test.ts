import { describe, expect, it } from 'vitest';
import { toNodeId } from '../../src/core/ids.ts';
import { RaftNode, type RaftError } from '../../src/index.ts';
import {
  LedgerStateMachine,
  ManualClock,
  MemoryLogStore,
  MemoryNetwork,
  MemorySnapshotStore,
} from '../../src/testing/index.ts';
import { bytes, Cluster, failureOf, member } from './cluster.ts';

describe('stopping', () => {
  it('hands leadership over first: the group is without a leader for less than an election', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const others = cluster.nodes.filter((node) => node !== leader);
    await cluster.clock.resolve(leader.propose(bytes('x')));
    const startedAt = cluster.clock.now();
    await cluster.clock.resolve(leader.stop(), 60_000, 1);
    await cluster.clock.until(() => others.some((node) => node.status().role === 'leader'), 5000, 1);
    expect(cluster.clock.now() - startedAt).toBeLessThan(500);
    await cluster.stopAll();
  });

  it('waits for the proposals that are under way', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const outcomes = Array.from({ length: 10 }, (_, index) => leader.propose(bytes(`entry ${index}`)));
    await cluster.clock.settle();
    await cluster.clock.resolve(leader.stop());
    expect(await Promise.all(outcomes)).toHaveLength(10);
    await cluster.stopAll();
  });

  it('leaves proposals without an outcome as unknown, and fails every later call', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    cluster.network.isolate(leader.id);
    const proposed = failureOf(leader.propose(bytes('x')));
    await cluster.clock.settle();
    await cluster.stopAll();
    expect(await proposed).toMatchObject({ code: 'outcomeUnknown' });
    const calls = [
      () => leader.propose(bytes('y')),
      () => leader.linearizableRead(),
      () => leader.snapshot(),
      () => leader.remove(toNodeId(1)),
    ];
    for (const call of calls) {
      expect(await cluster.failure(call())).toMatchObject({ code: 'stopped', outcome: 'notCommitted' });
    }
    expect(leader.status().lifecycle).toBe('stopped');
  });

  it('is idempotent, and frees the stores', async () => {
    const cluster = await Cluster.start({ voters: 1 });
    const node = await cluster.leader();
    await cluster.clock.resolve(Promise.all([node.stop(), node.stop()]));
    await cluster.startNode(toNodeId(1));
    expect((await cluster.leader()).status().lifecycle).toBe('running');
    await cluster.stopAll();
  });
});

describe('leadership', () => {
  it('is taken at once by a node that is alone', async () => {
    const cluster = await Cluster.start({ voters: 1 });
    const startedAt = cluster.clock.now();
    await cluster.leader();
    expect(cluster.clock.now() - startedAt).toBeLessThan(50);
    await cluster.stopAll();
  });

  it('is transferred to the voter that was named', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    await cluster.clock.resolve(leader.transferLeadership(follower.id));
    expect(leader.status()).toMatchObject({ role: 'follower', leaderId: follower.id });
    expect(await cluster.failure(leader.transferLeadership(follower.id))).toMatchObject({
      code: 'notLeader',
    });
    expect(await cluster.failure(follower.transferLeadership(follower.id))).toMatchObject({
      code: 'invalidArgument',
    });
    for (const deadlineMs of [NaN, -1, Infinity]) {
      expect(await cluster.failure(follower.transferLeadership(leader.id, deadlineMs))).toMatchObject({
        code: 'invalidArgument',
      });
    }
    await cluster.stopAll();
  });

  it('changes are told by events', async () => {
    const cluster = await Cluster.start();
    const events: unknown[] = [];
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    follower.on('roleChange', ({ role, previous }) => events.push({ role, previous }));
    follower.on('leaderChange', ({ leaderId }) => events.push({ leaderId }));
    await cluster.clock.resolve(leader.transferLeadership(follower.id));
    expect(events).toContainEqual({ leaderId: follower.id });
    expect(events).toContainEqual(expect.objectContaining({ role: 'leader' }));
    await cluster.stopAll();
  });

  it('does not change because the process of a follower was suspended for a minute', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const { term } = leader.status();
    await cluster.clock.leap(60_000);
    await cluster.clock.advance(1000);
    expect((await cluster.leader()).status().term).toBe(term);
    await cluster.stopAll();
  });
});

describe('a fatal error', () => {
  it('of the log stops this instance only: pending proposals are unknown, the group goes on', async () => {
    const broken = new Set<number>();
    const cluster = await Cluster.start({
      logStore: (id) => ({
        beforeSync: () => (broken.has(id) ? Promise.reject(new Error('EIO: fsync')) : Promise.resolve()),
      }),
    });
    const leader = await cluster.leader();
    const fatal: RaftError[] = [];
    leader.on('fatal', ({ error }) => fatal.push(error));
    broken.add(leader.id);
    const proposed = cluster.failure(leader.propose(bytes('x')));
    expect(await proposed).toMatchObject({ code: 'outcomeUnknown' });
    expect(fatal).toHaveLength(1);
    expect(fatal[0]).toMatchObject({ code: 'storageFailed', message: expect.stringContaining('EIO: fsync') });
    expect(leader.status().fatal).toBe(fatal[0]);
    expect(await cluster.failure(leader.propose(bytes('y')))).toMatchObject({
      code: 'storageFailed',
      outcome: 'notCommitted',
    });
    const others = cluster.nodes.filter((node) => node !== leader);
    await cluster.clock.until(() => others.some((node) => node.status().role === 'leader'));
    const next = others.find((node) => node.status().role === 'leader');
    await cluster.clock.resolve(next?.propose(bytes('z')) ?? Promise.reject(new Error('no leader')));
    await cluster.stopAll();
  });

  it('is never retried: nothing is written after a failed write', async () => {
    let calls = 0;
    let broken = false;
    const cluster = await Cluster.start({
      voters: 1,
      logStore: () => ({
        beforeSync: () => {
          calls++;
          return broken ? Promise.reject(new Error('EIO')) : Promise.resolve();
        },
      }),
    });
    const leader = await cluster.leader();
    broken = true;
    const before = calls;
    expect(await cluster.failure(leader.propose(bytes('x')))).toMatchObject({ code: 'outcomeUnknown' });
    broken = false;
    await cluster.clock.advance(5000);
    await cluster.stopAll();
    expect(calls).toBe(before + 1);
  });

  it('of the state machine stops this instance only', async () => {
    const clock = new ManualClock();
    const network = new MemoryNetwork({ clock });
    const id = toNodeId(1);
    class Failing extends LedgerStateMachine {
      override apply(): readonly number[] {
        throw new Error('cannot apply');
      }
    }
    const node = await clock.resolve(
      RaftNode.start<number>({
        id,
        clock,
        randomSeed: 1,
        bootstrap: { members: [member(id)] },
        logStore: new MemoryLogStore(),
        snapshotStore: new MemorySnapshotStore(),
        stateMachine: new Failing(),
        transport: network.transport(id),
      }),
    );
    await clock.until(() => node.status().role === 'leader');
    const error = await clock.resolve(node.propose(bytes('x')).catch((reason: unknown) => reason));
    expect(error).toMatchObject({ code: 'outcomeUnknown' });
    expect(node.status().fatal).toMatchObject({ code: 'stateMachineFailed' });
    await clock.resolve(node.stop());
  });

  it('of a snapshot stops the instance', async () => {
    let broken = false;
    const cluster = await Cluster.start({
      voters: 1,
      snapshotStore: () => ({
        beforeSync: () => (broken ? Promise.reject(new Error('ENOSPC')) : Promise.resolve()),
      }),
    });
    const leader = await cluster.leader();
    await cluster.clock.resolve(leader.propose(bytes('x')));
    broken = true;
    expect(await cluster.failure(leader.snapshot())).toMatchObject({ code: 'storageFailed' });
    expect(leader.status().fatal).toMatchObject({ code: 'storageFailed' });
    await cluster.stopAll();
  });

  it('at start closes what was opened', async () => {
    const clock = new ManualClock();
    const network = new MemoryNetwork({ clock });
    const id = toNodeId(1);
    const logStore = new MemoryLogStore();
    const options = {
      id,
      clock,
      logStore,
      snapshotStore: new MemorySnapshotStore(),
      stateMachine: new LedgerStateMachine(),
    };
    const blocked = network.transport(id);
    await blocked.start({
      receive: () => undefined,
      unreachable: () => undefined,
      readSnapshot: () => Promise.reject(new Error('none')),
      describeSnapshot: () => undefined,
      readCommitted: () => Promise.reject(new Error('not asked for')),
    });
    await expect(RaftNode.start({ ...options, transport: network.transport(id) })).rejects.toMatchObject({
      code: 'transportFailed',
    });
    await blocked.stop();
    const node = await RaftNode.start({ ...options, transport: network.transport(id) });
    await clock.resolve(node.stop());
  });

  it('leaves a listener that throws out of the consensus loop', async () => {
    const cluster = await Cluster.start({ voters: 1 });
    const leader = await cluster.leader();
    leader.on('applied', () => {
      throw new Error('a bug of the listener');
    });
    const outcome = leader.propose(bytes('x'));
    // The error is not swallowed: it comes out where deferred work runs, as an uncaught exception would.
    await expect(cluster.clock.advance(10)).rejects.toThrow('a bug of the listener');
    expect(await cluster.clock.resolve(outcome)).toMatchObject({ result: 1 });
    expect(leader.status().fatal).toBeUndefined();
    await cluster.stopAll();
  });
});

describe('options', () => {
  it('out of range are refused with the name of the option', async () => {
    const clock = new ManualClock();
    const id = toNodeId(1);
    const parts = {
      id,
      clock,
      logStore: new MemoryLogStore(),
      snapshotStore: new MemorySnapshotStore(),
      stateMachine: new LedgerStateMachine(),
      transport: new MemoryNetwork({ clock }).transport(id),
    };
    const wrong: readonly (readonly [string, object])[] = [
      ['id', { id: 0 }],
      ['electionTicks', { electionTicks: 1, heartbeatTicks: 1 }],
      ['tickIntervalMs', { tickIntervalMs: 0 }],
      ['tickIntervalMs', { tickIntervalMs: Infinity }],
      ['electionTicks', { electionTicks: 2.5 }],
      ['inflightMaxMessages', { inflightMaxMessages: Infinity }],
      ['readOnlyOption', { readOnlyOption: 'lease' }],
      ['id', { id: Number.MAX_SAFE_INTEGER }],
      ['inflightMaxBytes', { messageMaxBytes: 100, inflightMaxBytes: 10 }],
      ['logRetentionMaxEntries', { logRetentionEntries: 100, logRetentionMaxEntries: 10 }],
      ['bootstrap', { bootstrap: { members: [member(id), member(id)] } }],
      ['bootstrap', { bootstrap: { members: [member(id)], learners: [id] } }],
    ];
    for (const [name, options] of wrong) {
      await expect(RaftNode.start({ ...parts, ...options })).rejects.toMatchObject({
        code: 'invalidArgument',
        message: expect.stringContaining(name),
      });
    }
  });
});
