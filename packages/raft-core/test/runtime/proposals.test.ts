import { describe, expect, it } from 'vitest';
import { isNotLeaderError, isOverloadedError } from '../../src/index.ts';
import { bytes, Cluster, failureOf } from './cluster.ts';

describe('proposing', () => {
  it('resolves with index, term and result once the entry is applied, and every node applies it', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const first = await cluster.clock.resolve(leader.propose(bytes('one')));
    const second = await cluster.clock.resolve(leader.propose(bytes('two')));
    expect(first.result).toBe(1);
    expect(second).toEqual({ index: first.index + 1, term: leader.status().term, result: 2 });
    await cluster.converge();
    for (const site of cluster.sites.values()) expect(site.stateMachine.texts).toEqual(['one', 'two']);
    await cluster.stopAll();
  });

  it('keeps the order in which the calls were made', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const texts = Array.from({ length: 200 }, (_, index) => `entry ${index}`);
    const outcomes = await cluster.clock.resolve(
      Promise.all(texts.map((text) => leader.propose(bytes(text)))),
    );
    expect(outcomes.map((outcome) => outcome.result)).toEqual(texts.map((_, index) => index + 1));
    await cluster.converge();
    for (const site of cluster.sites.values()) expect(site.stateMachine.texts).toEqual(texts);
    await cluster.stopAll();
  });

  it('on a follower fails with the leader and its address, and nothing is queued', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    const error = await cluster.failure(follower.propose(bytes('x')));
    if (!isNotLeaderError(error)) throw new Error('not a NotLeaderError');
    expect(error).toMatchObject({
      leaderId: leader.id,
      leaderAddress: `node-${leader.id}:9444`,
      outcome: 'notCommitted',
    });
    expect(follower.status().pendingProposals).toBe(0);
    await cluster.stopAll();
  });

  it('refuses empty and oversized data', async () => {
    const cluster = await Cluster.start({ voters: 1, options: { proposalMaxBytes: 10 } });
    const leader = await cluster.leader();
    expect(await cluster.failure(leader.propose(bytes('')))).toMatchObject({ code: 'invalidArgument' });
    expect(await cluster.failure(leader.propose(bytes('x'.repeat(11))))).toMatchObject({
      code: 'invalidArgument',
    });
    await cluster.clock.resolve(leader.propose(bytes('x'.repeat(10))));
    await cluster.stopAll();
  });

  it('refuses more than the limit in bytes instead of queueing it, and takes proposals again later', async () => {
    const cluster = await Cluster.start({ options: { pendingProposalsMaxBytes: 10 * 612 } });
    const leader = await cluster.leader();
    const accepted = Array.from({ length: 10 }, () => leader.propose(bytes('x'.repeat(100))));
    const error: unknown = await leader.propose(bytes('y')).catch((reason: unknown) => reason);
    if (!isOverloadedError(error)) throw new Error('not an OverloadedError');
    expect(error).toMatchObject({ pending: 6120, limit: 6120, unit: 'bytes', outcome: 'notCommitted' });
    expect(leader.status().queues.proposalsBytes).toBe(6120);
    await cluster.clock.resolve(Promise.all(accepted));
    expect(leader.status().queues.proposalsBytes).toBe(0);
    await cluster.clock.resolve(leader.propose(bytes('y')));
    await cluster.stopAll();
  });

  it('bounds the number of small proposals by what each of them costs', async () => {
    const cluster = await Cluster.start({ voters: 1, options: { pendingProposalsMaxBytes: 64 * 1024 } });
    const leader = await cluster.leader();
    const outcomes = await cluster.clock.resolve(
      Promise.all(Array.from({ length: 1000 }, () => failureOf(leader.propose(bytes('x'))))),
    );
    expect(outcomes.filter((error) => error === undefined)).toHaveLength(Math.floor((64 * 1024) / 513));
    expect(outcomes.filter(isOverloadedError)).toHaveLength(1000 - Math.floor((64 * 1024) / 513));
    await cluster.stopAll();
  });

  it('is overloaded too where the uncommitted log is full although the proposers have given up', async () => {
    const cluster = await Cluster.start({
      options: { pendingProposalsMaxBytes: 2000, proposalTimeoutMs: 200, electionTicks: 100 },
    });
    const leader = await cluster.leader();
    cluster.network.isolate(leader.id);
    const large = bytes('x'.repeat(1400));
    expect(await cluster.failure(leader.propose(large))).toMatchObject({ code: 'outcomeUnknown' });
    const error = await cluster.failure(leader.propose(large));
    expect(isOverloadedError(error)).toBe(true);
    expect(error).toMatchObject({ pending: 1400, limit: 2000, unit: 'bytes', outcome: 'notCommitted' });
    cluster.network.heal();
    await cluster.stopAll();
  });
});

describe('the outcome of a proposal', () => {
  it('is committed when the next leader commits it, although the proposer lost the leadership', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const others = cluster.nodes.filter((node) => node !== leader);
    // Its entries get out, but no answer comes back.
    for (const other of others) cluster.network.block(other.id, leader.id);
    const proposed = leader.propose(bytes('survivor'));
    await cluster.clock.until(() =>
      others.every((other) => other.status().lastIndex === leader.status().lastIndex),
    );
    cluster.network.isolate(leader.id);
    await cluster.clock.until(() => others.some((other) => other.status().role === 'leader'));
    cluster.network.heal();
    const outcome = await cluster.clock.resolve(proposed);
    expect(outcome.result).toBe(1);
    expect(leader.status().role).toBe('follower');
    await cluster.converge();
    for (const site of cluster.sites.values()) expect(site.stateMachine.texts).toEqual(['survivor']);
    await cluster.stopAll();
  });

  it('is notCommitted when another entry takes its place', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    cluster.network.isolate(leader.id);
    // The first gives way to the next leader's empty entry, the second to a proposal there.
    const lost = [failureOf(leader.propose(bytes('lost'))), failureOf(leader.propose(bytes('lost too')))];
    await cluster.clock.until(() =>
      cluster.nodes.some((node) => node !== leader && node.status().role === 'leader'),
    );
    const next = cluster.nodes.find((node) => node !== leader && node.status().role === 'leader');
    await cluster.clock.resolve(next?.propose(bytes('kept')) ?? Promise.reject(new Error('no leader')));
    cluster.network.heal();
    for (const error of await cluster.clock.resolve(Promise.all(lost))) {
      expect(error).toMatchObject({ code: 'notCommitted', outcome: 'notCommitted' });
    }
    await cluster.converge();
    for (const site of cluster.sites.values()) expect(site.stateMachine.texts).toEqual(['kept']);
    await cluster.stopAll();
  });

  it('is unknown when nothing decides it in time', async () => {
    const cluster = await Cluster.start({ options: { proposalTimeoutMs: 3000 } });
    const leader = await cluster.leader();
    cluster.network.isolate(leader.id);
    const error = await cluster.failure(leader.propose(bytes('x')));
    expect(error).toMatchObject({ code: 'outcomeUnknown', outcome: 'unknown' });
    expect(leader.status().queues.proposalsBytes).toBe(0);
    await cluster.stopAll();
  });

  it('is unknown when a snapshot covers its place', async () => {
    const cluster = await Cluster.start({
      options: {
        proposalTimeoutMs: 0,
        snapshotIntervalEntries: 20,
        logRetentionEntries: 2,
        logRetentionMaxEntries: 4,
      },
    });
    const leader = await cluster.leader();
    cluster.network.isolate(leader.id);
    const lost = failureOf(leader.propose(bytes('lost')));
    await cluster.clock.until(() =>
      cluster.nodes.some((node) => node !== leader && node.status().role === 'leader'),
    );
    const next = cluster.nodes.find((node) => node !== leader && node.status().role === 'leader');
    if (next === undefined) throw new Error('no new leader');
    await cluster.clock.resolve(
      Promise.all(Array.from({ length: 60 }, (_, index) => next.propose(bytes(`${index}`)))),
    );
    cluster.network.heal();
    expect(await cluster.clock.resolve(lost)).toMatchObject({ code: 'outcomeUnknown' });
    await cluster.stopAll();
  });

  it('is unknown when the proposer gives up after the entry is in the log, notCommitted before', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    cluster.network.isolate(leader.id);
    const early = new AbortController();
    const beforeLog = leader.propose(bytes('before'), { signal: early.signal });
    early.abort();
    expect(await cluster.failure(beforeLog)).toMatchObject({ code: 'notCommitted' });
    const late = new AbortController();
    const inLog = leader.propose(bytes('after'), { signal: late.signal });
    await cluster.clock.settle();
    late.abort();
    expect(await cluster.failure(inLog)).toMatchObject({ code: 'outcomeUnknown' });
    cluster.network.heal();
    await cluster.converge();
    expect(cluster.site(leader.id).stateMachine.texts).not.toContain('before');
    await cluster.stopAll();
  });

  it('is refused with transferInProgress while leadership is handed over', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    cluster.network.block(leader.id, follower.id);
    const transfer = leader.transferLeadership(follower.id, 500);
    transfer.catch(() => undefined);
    await cluster.clock.advance(100);
    expect(await cluster.failure(leader.propose(bytes('x')))).toMatchObject({ code: 'transferInProgress' });
    expect(await cluster.failure(transfer)).toMatchObject({ code: 'transferTimeout' });
    cluster.network.heal();
    await cluster.clock.resolve(leader.propose(bytes('y')));
    await cluster.stopAll();
  });
});
