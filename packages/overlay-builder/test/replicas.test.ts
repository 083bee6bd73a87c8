import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { JournalState } from '@pact-journal/journal-state';
import { commandLogs, restoreFrom } from '@pact-journal/journal-state/testing';
import { buildOverlay, overlayContentOf, WorkerCompressor } from '../src/index.ts';

const compressors = [new WorkerCompressor(), new WorkerCompressor()] as const;
afterAll(() => Promise.all(compressors.map((compressor) => compressor.close())));

it('replicas of the same log, one of them restarted anywhere, have the same digest and the same overlay bytes', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(commandLogs(fc, { maxLength: 80 }), fc.nat({ max: 79 }), async (log, restartAt) => {
      const steady = new JournalState();
      let restarted = new JournalState();
      for (const [index, envelope] of log.entries()) {
        steady.apply(envelope);
        restarted.apply(envelope);
        if (index === restartAt) restarted = restoreFrom(restarted.snapshot());
      }
      expect(restarted.digest()).toBe(steady.digest());
      for (const vclusterId of steady.vclusters()) {
        const [first, second] = await Promise.all([
          buildOverlay(overlayContentOf(steady, vclusterId), compressors[0]),
          buildOverlay(overlayContentOf(restarted, vclusterId), compressors[1]),
        ]);
        expect(second.checksum).toBe(first.checksum);
        expect(Buffer.compare(first.data, second.data)).toBe(0);
        compared += 1;
      }
    }),
    { numRuns: 100 },
  );
  expect(compared).toBeGreaterThan(50);
});
