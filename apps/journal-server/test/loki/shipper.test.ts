/** What reaches Loki, whatever happens to it, to the network and to the leader. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { msToTimestamp, type NewConfigEntry } from '@pact-journal/journal-state';
import {
  JournalFixture,
  aCommit,
  aDelta,
  anEmergencyStart,
  node,
  seq,
  vcluster,
} from '@pact-journal/journal-state/testing';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LokiShipper, type LokiShipperOptions } from '../../src/loki/index.ts';
import { LokiReceiver, type Fault } from '../support/loki-receiver.ts';

const HOUR_MS = 3_600_000;

/** A journal, and the replicas that ship it: one after the other, as leaders follow each other. */
class Rig {
  readonly fixture: JournalFixture;
  readonly skipped: Record<string, number> = {};
  log = '';
  cursorFails = false;
  readonly #waiters = new Set<() => void>();
  readonly #receiver: LokiReceiver;
  readonly #shippers: LokiShipper[] = [];

  constructor(receiver: LokiReceiver, ageMs = HOUR_MS) {
    this.#receiver = receiver;
    this.fixture = new JournalFixture({ time: msToTimestamp(Date.now() - ageMs) });
  }

  append(entry: NewConfigEntry): void {
    this.fixture.append(entry);
    for (const wake of this.#waiters) wake();
  }

  appendMany(count: number, size = 10): void {
    for (let i = 0; i < count; i += 1)
      this.append(aCommit(vcluster(`v${String(i % 3)}`), { kernel: { k: 'x'.repeat(size) } }));
  }

  /** A replica that leads from now on. */
  lead(options: Partial<LokiShipperOptions> = {}): LokiShipper {
    const log = pino(
      { level: 'trace' },
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          this.log += chunk.toString();
          done();
        },
      }),
    );
    const shipper = new LokiShipper({
      target: {
        url: this.#receiver.url,
        tenant: '',
        username: '',
        passwordFile: '',
        tokenFile: '',
        timeoutMs: 300,
      },
      clusterId: 'test',
      batchSizeBytesMax: 64 * 1024,
      batchWaitMs: 5,
      lineSizeBytesMax: 256 * 1024,
      entryAgeMsMax: 7 * 24 * HOUR_MS,
      journal: () => this.fixture.journal,
      appended: (sequence, signal) => this.#appended(sequence, signal),
      confirmLeadership: () => Promise.resolve(),
      moveCursor: async (cursor) => {
        await new Promise((resolve) => setImmediate(resolve));
        if (this.cursorFails) throw new Error('the leadership is gone');
        this.fixture.try({ type: 'MoveCursor', cursor });
      },
      observer: {
        pushed: () => undefined,
        shipped: () => undefined,
        skipped: (reason, count) => (this.skipped[reason] = (this.skipped[reason] ?? 0) + count),
      },
      log,
      ...options,
    });
    this.#shippers.push(shipper);
    shipper.start();
    return shipper;
  }

  stop(): void {
    for (const shipper of this.#shippers) shipper.stop();
  }

  async #appended(sequence: number, signal: AbortSignal): Promise<void> {
    while (this.fixture.journal.entryCount <= sequence) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#waiters.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      this.#waiters.clear();
    }
  }
}

let loki: LokiReceiver;
let rig: Rig;

beforeEach(async () => {
  loki = await LokiReceiver.start();
  rig = new Rig(loki);
});

afterEach(async () => {
  rig.stop();
  await loki.close();
});

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

async function allArrived(): Promise<void> {
  const { entryCount } = rig.fixture.journal;
  await expect.poll(() => loki.stored, { timeout: 30_000 }).toBe(entryCount);
  expect(loki.sequences()).toEqual(upTo(entryCount));
  expect(loki.violations).toEqual([]);
  await expect.poll(() => rig.fixture.journal.cursor('loki')?.next_sequence).toBe(entryCount);
}

/** Faults for the first requests; everything is well after them. */
function failFirst(...faults: readonly Fault[]): void {
  const left = [...faults];
  loki.fault = () => left.shift();
}

describe('what Loki gets', () => {
  test('is every entry as JSON, in streams of component, type and virtual cluster, and never one a node', async () => {
    rig.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
    rig.append(aCommit(node('n1'), { kernel: { a: '2' } }));
    rig.append(aCommit('Global', { kernel: { a: '3' } }));
    rig.append(anEmergencyStart(node('n2')));
    rig.lead();
    await allArrived();
    expect(loki.streams()).toEqual([
      '{component="pact-journal", entry_type="Commit", vcluster="ml"}',
      '{component="pact-journal", entry_type="Commit"}',
      '{component="pact-journal", entry_type="EmergencyStart"}',
    ]);
    const [first] = loki.lines();
    expect(JSON.parse(first?.line ?? '')).toEqual({
      cluster_id: 'test',
      ...rig.fixture.journal.entry(seq(0)),
    });
  });

  test('has times that give the order of the journal, although the clock stands still', async () => {
    for (let i = 0; i < 20; i += 1) {
      rig.fixture.advance(-1);
      rig.append(aCommit(vcluster('ml')));
    }
    rig.lead();
    await allArrived();
    expect([...rig.fixture.journal.entries()].at(-1)?.timestamp).toBe(
      rig.fixture.journal.entry(seq(0))?.timestamp,
    );
    expect(new Set(loki.lines().map(({ timeNs }) => timeNs)).size).toBe(20);
  });

  test('is what identifies an entry that is too long for a line', async () => {
    const huge = Object.fromEntries(upTo(10).map((at) => [`/f${String(at)}`, 'x'.repeat(100_000)]));
    rig.append({ ...aCommit(vcluster('ml')), state_delta: aDelta({ files: huge }) });
    rig.append(aCommit(vcluster('ml')));
    rig.lead();
    await allArrived();
    const { hash } = rig.fixture.journal.entry(seq(0)) ?? {};
    expect(JSON.parse(loki.lines()[0]?.line ?? '')).toMatchObject({ truncated: true, sequence: 0, hash });
  });

  test('carries the tenant and the credentials from their files, and the log never has them', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pact-loki-'));
    const tokenFile = join(directory, 'token');
    const passwordFile = join(directory, 'password');
    await writeFile(tokenFile, 'bearer-of-secrets\n');
    await writeFile(passwordFile, 'open-sesame\n');
    failFirst({ kind: 'status', status: 401 });
    const target = {
      url: loki.url,
      tenant: 'site-1',
      username: '',
      passwordFile: '',
      tokenFile: '',
      timeoutMs: 300,
    };
    rig.append(aCommit(vcluster('ml')));
    const shipper = rig.lead({ target: { ...target, tokenFile } });
    await allArrived();
    shipper.stop();
    rig.lead({ target: { ...target, username: 'pact', passwordFile } });
    rig.append(aCommit(vcluster('ml')));
    await allArrived();
    expect(loki.requests[0]?.headers).toMatchObject({
      'x-scope-orgid': 'site-1',
      authorization: 'Bearer bearer-of-secrets',
    });
    expect(loki.requests.at(-1)?.headers.authorization).toBe(`Basic ${btoa('pact:open-sesame')}`);
    expect(rig.log).toContain('HTTP 401');
    for (const secret of ['bearer-of-secrets', 'open-sesame', btoa('pact:open-sesame')])
      expect(rig.log).not.toContain(secret);
    await rm(directory, { recursive: true });
  });
});

describe('an unwilling Loki', () => {
  test('loses nothing by errors, hanging, slowness and lost answers', async () => {
    rig.appendMany(400);
    failFirst(
      { kind: 'status', status: 500 },
      { kind: 'lostAnswer' },
      { kind: 'slow', delayMs: 100 },
      { kind: 'hang' },
    );
    rig.lead();
    await allArrived();
    expect(loki.repeats).toBeGreaterThan(0);
  });

  test('is given the pause that it asks for', async () => {
    rig.appendMany(3);
    failFirst(
      { kind: 'status', status: 429, retryAfter: '1' },
      { kind: 'status', status: 503, retryAfter: new Date(Date.now() + 4_000).toUTCString() },
    );
    rig.lead();
    await allArrived();
    const [first, second, third] = loki.requests.map(({ atMs }) => atMs);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(990);
    expect((third ?? 0) - (second ?? 0)).toBeGreaterThanOrEqual(1_000);
  });

  test('that was away for an hour has everything, in order and in bounded requests', async () => {
    const shipper = rig.lead();
    rig.appendMany(10);
    await allArrived();
    await loki.close();
    // One entry a second, an hour long.
    rig.appendMany(3_600, 100);
    await expect.poll(() => rig.log).toContain('Loki does not take entries');
    expect(shipper.lag(Date.now()).entries).toBe(3_600);
    expect(shipper.lag(Date.now()).seconds).toBeGreaterThan(3_500);
    await loki.listen();
    await allArrived();
    expect(loki.repeats).toBe(0);
    expect(Math.max(...loki.requests.map(({ sizeBytes }) => sizeBytes))).toBeLessThan(100 * 1024);
    expect(shipper.lag(Date.now())).toEqual({ entries: 0, seconds: 0 });
    expect(rig.log).toContain('Loki takes entries again');
  });

  test('that refuses one entry for good gets all the others, and the log says which', async () => {
    rig.appendMany(40);
    loki.fault = (_request, sequences) =>
      sequences.includes(17) ? { kind: 'status', status: 400, text: 'no such line' } : undefined;
    rig.lead();
    await expect.poll(() => loki.stored).toBe(39);
    expect(loki.sequences()).toEqual(upTo(40).filter((sequence) => sequence !== 17));
    expect(rig.skipped).toEqual({ refused: 1 });
    expect(rig.log).toMatch(/"sequence":17,.*no such line.*left out/);
  });

  test('is spared what it would refuse for its age', async () => {
    rig = new Rig(loki, 8 * 24 * HOUR_MS);
    rig.appendMany(500);
    rig.fixture.advance(7.9 * 24 * 3_600);
    rig.appendMany(5);
    rig.lead();
    await expect.poll(() => loki.stored).toBe(5);
    expect(loki.sequences()).toEqual([500, 501, 502, 503, 504]);
    expect(rig.skipped).toEqual({ too_old: 500 });
    expect(loki.violations).toEqual([]);
  });

  test('that is behind in time is waited for', async () => {
    rig.appendMany(2);
    failFirst({ kind: 'status', status: 400, text: 'entry has timestamp too new: 2026' });
    rig.lead();
    await allArrived();
    expect(rig.skipped).toEqual({});
  });
});

describe('a new leader', () => {
  test('goes on at the cursor without a gap or a repetition', async () => {
    const first = rig.lead();
    rig.appendMany(30);
    await allArrived();
    first.stop();
    rig.appendMany(30);
    rig.lead();
    await allArrived();
    expect(loki.repeats).toBe(0);
  });

  test('repeats what its predecessor could not note down, and Loki recognises all of it', async () => {
    rig.cursorFails = true;
    const first = rig.lead();
    rig.appendMany(30);
    await expect.poll(() => loki.stored).toBe(30);
    first.stop();
    rig.cursorFails = false;
    rig.appendMany(5);
    rig.lead();
    await allArrived();
    expect(loki.repeats).toBeGreaterThanOrEqual(30);
  });

  test('is not disturbed by one that was deposed and has not noticed', async () => {
    rig.appendMany(10);
    rig.lead({ confirmLeadership: () => Promise.reject(new Error('node 2 leads')) });
    await expect.poll(() => rig.log).toContain('node 2 leads');
    expect(loki.requests).toEqual([]);
    rig.lead();
    await allArrived();
    expect(loki.repeats).toBe(0);
  });
});
