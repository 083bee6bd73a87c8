/** The leader ends what has a ttl, on a journal of its own and with a clock that is ahead. */
import {
  APPROVAL_WINDOW_SECONDS,
  defaultPolicy,
  encodeCommand,
  type CommandResult,
  type EntrySeq,
} from '@pact-journal/journal-state';
import { toLogIndex, toTerm, type Entry } from '@pact-journal/raft-core';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Expirer } from '../../src/server/expirer.ts';
import { JournalMachine } from '../../src/server/journal-machine.ts';
import { JournalWriter } from '../../src/server/writer.ts';
import { commitOf } from '../support/calls.ts';

/** A group of one that has every proposal committed at once. */
function journalWithClock(): {
  machine: JournalMachine;
  writer: JournalWriter;
  advance: (seconds: number) => void;
  now: () => string;
} {
  const machine = new JournalMachine();
  let nowMs = Date.parse('2026-11-24T08:00:00.000Z');
  let index = 0;
  const now = (): string => new Date(nowMs).toISOString();
  const propose = (data: Uint8Array): Promise<{ index: number; term: number; result: CommandResult }> => {
    index += 1;
    const entry: Entry = { index: toLogIndex(index), term: toTerm(1), type: 'normal', data };
    const [result] = machine.apply([entry]);
    if (result === undefined) throw new Error('no result');
    return Promise.resolve({ index, term: 1, result });
  };
  const advance = (seconds: number): void => {
    nowMs += seconds * 1_000;
  };
  return { machine, writer: new JournalWriter({ propose }, encodeCommand, now), advance, now };
}

test('a ttl that runs out is rolled back by an entry of system:journal, once, and only while this node leads', async () => {
  const { machine, writer, advance, now } = journalWithClock();
  const scope = { Node: 'n1' };
  await writer.append({ type: 'AppendEntry', entry: commitOf('vm.x', 'kept', scope) }, undefined);
  await writer.append(
    { type: 'AppendEntry', entry: commitOf('vm.x', 'for a while', scope, { ttl_seconds: 900 }) },
    undefined,
  );
  const value = (): string | null | undefined =>
    machine.state.effectiveConfig(scope).kernel.get('vm.x')?.value;
  const expirer = new Expirer({ journal: () => machine.state, writer, log: pino({ level: 'silent' }), now });

  expirer.start();
  expect(value()).toBe('for a while');
  advance(899);
  expirer.stop();
  advance(2);
  expect(machine.state.entryCount).toBe(2);

  expirer.start();
  await expect.poll(value, { timeout: 5_000 }).toBe('kept');
  expect(machine.state.entry(2 as EntrySeq)).toMatchObject({
    entry_type: 'Rollback',
    expires: 1,
    author: { principal: 'system:journal', principal_type: 'Service' },
  });
  expect(machine.state.dueExpirations(now())).toEqual([]);
  expirer.stop();
  expect(machine.state.entryCount).toBe(3);
});

test('an approval that nobody gives in time is ended by an entry of system:journal', async () => {
  const { machine, writer, advance, now } = journalWithClock();
  const scope = { VCluster: 'two' };
  const author = { principal: 'ada', principal_type: 'Human', role: 'pact-platform-admin' } as const;
  const policy = { ...defaultPolicy('two'), two_person_approval: true };
  await writer.append({ type: 'SetPolicy', vcluster_id: 'two', policy, author }, undefined);
  const asked = await writer.append({ type: 'AppendEntry', entry: commitOf('vm.x', '1', scope) }, undefined);
  expect(asked).toMatchObject({ sequence: 1, pendingApproval: true });
  advance(APPROVAL_WINDOW_SECONDS + 1);
  const expirer = new Expirer({ journal: () => machine.state, writer, log: pino({ level: 'silent' }), now });
  expirer.start();
  await expect.poll(() => machine.state.approvals(now()), { timeout: 5_000 }).toEqual([]);
  expirer.stop();
  expect(machine.state.entry(2 as EntrySeq)).toMatchObject({
    entry_type: 'PendingApproval',
    decision: { outcome: 'expired', pending: 1, by: { principal: 'system:journal' } },
  });
  expect(machine.state.effectiveConfig(scope).kernel.size).toBe(0);
});
