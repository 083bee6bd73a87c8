/** One node in one virtual cluster. */
import { JournalFixture, node, vcluster } from '@pact-journal/journal-state/testing';

export const ml = vcluster('ml');
export const n1 = node('n1');

export function fleet(): JournalFixture {
  const fixture = new JournalFixture();
  fixture.assign('n1', 'ml');
  return fixture;
}
