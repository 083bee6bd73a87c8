import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { JournalState } from '@pact-journal/journal-state';
import type { CommandEnvelope } from '@pact-journal/journal-state';
import { commandLogs, restoreFrom } from '@pact-journal/journal-state/testing';
import { buildOverlay, overlayContentOf, WorkerCompressor } from '../src/index.ts';

const compressors = [new WorkerCompressor(), new WorkerCompressor()] as const;
afterAll(() => Promise.all(compressors.map((compressor) => compressor.close())));

/** How a replica got the log: sizes of its batches in turn, and after which of them it was restarted. */
interface Life {
  readonly batches: readonly number[];
  readonly restarts: readonly number[];
}

const lives = fc.record<Life>({
  batches: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }),
  restarts: fc.uniqueArray(fc.nat({ max: 30 }), { maxLength: 4 }),
});

/** A replica at the end of the log. After each batch it does what a server does: tells its digest, builds overlays. */
function live(log: readonly CommandEnvelope[], { batches, restarts }: Life): JournalState {
  let journal = new JournalState();
  for (let at = 0, batch = 0; at < log.length; batch += 1) {
    const size = batches[batch % batches.length] ?? 1;
    for (const envelope of log.slice(at, at + size)) journal.apply(envelope);
    at += size;
    journal.digest();
    for (const vclusterId of journal.vclusters()) journal.overlayInput(vclusterId);
    if (restarts.includes(batch)) journal = restoreFrom(journal.snapshot());
  }
  return journal;
}

it('replicas of the same log, in batches of any sizes and restarted anywhere, have the same digest and the same overlay bytes', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(commandLogs(fc, { maxLength: 80 }), lives, lives, async (log, one, other) => {
      const [first, second] = [live(log, one), live(log, other)];
      expect(second.digest()).toBe(first.digest());
      for (const vclusterId of first.vclusters()) {
        const [a, b] = await Promise.all([
          buildOverlay(overlayContentOf(first, vclusterId), compressors[0]),
          buildOverlay(overlayContentOf(second, vclusterId), compressors[1]),
        ]);
        expect(b.checksum).toBe(a.checksum);
        expect(Buffer.compare(a.data, b.data)).toBe(0);
        compared += 1;
      }
    }),
    { numRuns: 100 },
  );
  expect(compared).toBeGreaterThan(50);
});
