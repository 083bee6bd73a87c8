import { expect } from 'vitest';
import type { JournalCommand, ValidationCode } from '@pact-journal/journal-state';
import type { JournalFixture } from '@pact-journal/journal-state/testing';

/** The command to append an entry, which may be wrong. */
export const append = (entry: unknown): JournalCommand => ({ type: 'AppendEntry', entry }) as JournalCommand;

/** The code with which a command is refused; it must change nothing that can be seen. */
export function refusal(fixture: JournalFixture, command: JournalCommand): ValidationCode | 'accepted' {
  const { journal } = fixture;
  const before = [
    journal.entryCount,
    journal.operationCount,
    journal.headHash,
    JSON.stringify([...journal.nodes()]),
  ];
  const foreseen = journal.check(command);
  const { result, changes } = fixture.try(command);
  if (result.type !== 'ValidationError') {
    expect(foreseen).toBeUndefined();
    return 'accepted';
  }
  // Only how large an entry becomes is not known before it is written.
  if (result.code !== 'tooLarge') expect(foreseen).toEqual(result);
  expect([
    journal.entryCount,
    journal.operationCount,
    journal.headHash,
    JSON.stringify([...journal.nodes()]),
  ]).toEqual(before);
  expect(changes).toEqual({ staleOverlays: [] });
  return result.code;
}
