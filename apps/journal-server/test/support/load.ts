/** A client that writes all the time while something is done to the cluster, and what it saw. */
import { JournalClient } from '@pact-journal/journal-client';
import { expect } from 'vitest';
import { commitOf, listing, stubs } from './calls.ts';

export interface LoadReport {
  /** Sequence by message, of everything that was acknowledged. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Failures that the client's own retries did not hide. */
  readonly failures: readonly unknown[];
  /** The longest time from an append to its acknowledgement. */
  readonly slowestMs: number;
}

/** Appends without a pause, a few at a time; the client's retries are the only ones. */
export class Load {
  readonly #client: JournalClient;
  readonly #acknowledged = new Map<string, number>();
  readonly #failures: unknown[] = [];
  readonly #workers: readonly Promise<void>[];
  #slowestMs = 0;
  #stopping = false;

  constructor(endpoints: readonly string[], workers = 4) {
    this.#client = new JournalClient({ endpoints });
    this.#workers = Array.from({ length: workers }, (_, worker) => this.#work(worker));
  }

  get count(): number {
    return this.#acknowledged.size;
  }

  /** Resolves once that many more were acknowledged: the cluster takes writes as things are now. */
  async goesOn(more = 20): Promise<void> {
    const target = this.count + more;
    await expect.poll(() => this.count, { timeout: 20_000, interval: 10 }).toBeGreaterThan(target);
  }

  async stop(): Promise<LoadReport> {
    this.#stopping = true;
    await Promise.all(this.#workers);
    this.#client.close();
    return { acknowledged: this.#acknowledged, failures: this.#failures, slowestMs: this.#slowestMs };
  }

  async #work(worker: number): Promise<void> {
    for (let turn = 0; !this.#stopping; turn += 1) {
      const message = `w${String(worker)}-${String(turn)}`;
      const startedMs = performance.now();
      try {
        const entry = commitOf(`load.${String(turn % 50)}`, message, { Node: `n${String(worker)}` });
        const { sequence } = await this.#client.append({ ...entry, policy_ref: message });
        this.#acknowledged.set(message, sequence);
      } catch (error) {
        this.#failures.push(error);
      }
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedMs);
    }
  }
}

/** Everything acknowledged is in the journal, at its place, once: nothing lost, nothing twice. */
export async function expectWhole(report: LoadReport, endpoint: string): Promise<void> {
  const client = stubs(endpoint);
  try {
    const highest = Math.max(...report.acknowledged.values());
    await expect
      .poll(async () => (await listing(client)).length, { timeout: 20_000 })
      .toBeGreaterThan(highest);
    const log = await listing(client);
    for (const [message, sequence] of report.acknowledged)
      expect(log[sequence]).toBe(`${String(sequence)} ${message}`);
    const messages = log.map((line) => line.slice(line.indexOf(' ') + 1)).filter((text) => text !== '');
    expect(new Set(messages).size).toBe(messages.length);
  } finally {
    client.close();
  }
}
