import { createMessage, RaftNode, toNodeId } from '@pact-journal/raft-core';
import type { Entry, Message, Term } from '@pact-journal/raft-core';
import { LedgerStateMachine, MemoryLogStore, MemorySnapshotStore } from '@pact-journal/raft-core/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { GrpcTransport } from '../src/index.ts';
import { startNode, stopAll } from './support/cluster.ts';

const ONE = toNodeId(1);
const TWO = toNodeId(2);
const WAIT = { timeout: 20_000, interval: 5 };
const entry = { type: 'normal', data: Uint8Array.of(1) } as Entry;

const nodes: RaftNode<number>[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
  await stopAll();
});

type Fields = Pick<Message, 'type'> & Partial<Message>;

it.each<[string, (term: Term) => Fields]>([
  ['a proposal without entries', () => ({ type: 'MsgProp' })],
  ['a proposal with a term', (term) => ({ type: 'MsgProp', term, entries: [entry] })],
  ['a read with a term', (term) => ({ type: 'MsgReadIndex', term, entries: [entry] })],
  ['a read without its context', () => ({ type: 'MsgReadIndex' })],
  ['a transfer of leadership', (term) => ({ type: 'MsgTransferLeader', term })],
  ['a vote without a term', () => ({ type: 'MsgVote' })],
])('%s neither ends a leader nor moves it', async (_what, make) => {
  const transport = new GrpcTransport({ id: ONE, clusterId: 'test', listen: '127.0.0.1:0' });
  const node = await RaftNode.start({
    id: ONE,
    bootstrap: { members: [{ id: ONE, address: '127.0.0.1:1', attributes: {} }] },
    stateMachine: new LedgerStateMachine(),
    logStore: new MemoryLogStore(),
    snapshotStore: new MemorySnapshotStore(),
    transport,
  });
  nodes.push(node);
  await vi.waitFor(() => expect(node.status().role).toBe('leader'), WAIT);
  const { term } = node.status();

  const other = await startNode(2);
  other.transport.setPeers([{ id: ONE, address: transport.address, attributes: {} }]);
  await vi.waitFor(() => expect(other.transport.stats(ONE)?.connected).toBe(true), WAIT);
  other.transport.send(ONE, [createMessage({ from: TWO, to: ONE, ...make(term) })]);
  await vi.waitFor(() => expect(Object.values(transport.refusals)).toEqual([1]), WAIT);

  await node.propose(Uint8Array.of(2));
  expect(node.status()).toMatchObject({ lifecycle: 'running', role: 'leader', term });
});
