/** What can wait is proposed together with what cannot. */
import { encodeCommand, type CommandEnvelope, type JournalCommand } from '@pact-journal/journal-state';
import { expect, test } from 'vitest';
import { JournalWriter } from '../../src/server/writer.ts';

interface Harness {
  readonly batches: string[][];
  propose(name: string): void;
  proposeWithNext(name: string, ms: number): Promise<unknown>;
}

function harness(): Harness {
  const batches: string[][] = [];
  let batch: string[] | undefined;
  const writer = new JournalWriter(
    {
      propose: (data) => {
        if (batch === undefined) {
          const begun: string[] = [];
          batches.push(begun);
          batch = begun;
          // As in raft-core: what is proposed before the next turn goes together.
          setImmediate(() => (batch = undefined));
        }
        const { command } = JSON.parse(Buffer.from(data).toString()) as CommandEnvelope;
        batch.push(command.type === 'MoveCursor' ? command.cursor.name : command.type);
        return Promise.resolve({ index: 1, term: 1, result: { type: 'Ok' } });
      },
    },
    encodeCommand,
    () => '2026-11-30T08:00:00.000Z',
  );
  const command = (name: string): JournalCommand => ({
    type: 'MoveCursor',
    cursor: { name, next_sequence: 0, detail: '' },
  });
  return {
    batches,
    propose: (name) => void writer.propose(command(name), undefined),
    proposeWithNext: (name, ms) => writer.proposeWithNext(command(name), ms),
  };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what can wait goes with the next proposal, in the same batch', async () => {
  const { batches, propose, proposeWithNext } = harness();
  propose('before');
  await nextTurn();
  const waiting = proposeWithNext('patient', 60_000);
  await nextTurn();
  expect(batches).toEqual([['before']]);
  propose('next');
  await waiting;
  expect(batches).toEqual([['before'], ['next', 'patient']]);
  await nextTurn();
  propose('later');
  expect(batches.at(-1)).toEqual(['later']);
});

test('two that can wait go together, at once', async () => {
  const { batches, propose, proposeWithNext } = harness();
  propose('before');
  await nextTurn();
  const first = proposeWithNext('first', 60_000);
  await nextTurn();
  await Promise.all([first, proposeWithNext('second', 60_000)]);
  expect(batches.map((batch) => batch.toSorted())).toEqual([['before'], ['first', 'second']]);
});

test('whoever waits for the next one in vain goes alone, once', async () => {
  const { batches, propose, proposeWithNext } = harness();
  propose('before');
  await nextTurn();
  await proposeWithNext('alone', 20);
  expect(batches).toEqual([['before'], ['alone']]);
  await nextTurn();
  propose('later');
  expect(batches.at(-1)).toEqual(['later']);
});

test('nobody waits where nothing was proposed for a while, or only by such as can wait', async () => {
  const { batches, proposeWithNext } = harness();
  await proposeWithNext('first', 60_000);
  await nextTurn();
  await proposeWithNext('second', 60_000);
  expect(batches).toEqual([['first'], ['second']]);
});
