/** What every Transport must do. */
import { toLogIndex, toNodeId, toTerm } from '../core/ids.ts';
import { createMessage } from '../core/message.ts';
import type { Message, NodeId } from '../core/types.ts';
import type { Member, StoredSnapshot, Transport, TransportHandler } from '../runtime/interfaces.ts';
import { ensure, ensureEqual, ensureFails, type ConformanceCase } from './conformance-case.ts';

const encoder = new TextEncoder();
const ONE = toNodeId(1);
const TWO = toNodeId(2);
const WAIT_LIMIT_MS = 20_000;

/** Two transports that can reach each other. */
export interface TransportPairFixture {
  /** Of node 1 and of node 2, not started. */
  readonly transports: readonly [Transport, Transport];
  /** How each is reached. */
  readonly members: readonly [Member, Member];
  /** Lets time pass until `condition` holds or some seconds have gone by. The default polls in real time. */
  readonly waitFor?: (condition: () => boolean) => Promise<void>;
  /** Called after each case, when both transports are stopped. */
  dispose?(): Promise<void>;
}

class Recorder implements TransportHandler {
  readonly received: { from: NodeId; message: Message }[] = [];
  readonly unreachablePeers: NodeId[] = [];
  readonly chunks = new Map<string, Uint8Array>();
  stored: StoredSnapshot | undefined;

  receive(from: NodeId, messages: readonly Message[]): void {
    for (const message of messages) this.received.push({ from, message });
  }

  unreachable(peer: NodeId): void {
    this.unreachablePeers.push(peer);
  }

  readSnapshot(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    const chunk = this.chunks.get(sha256);
    if (chunk === undefined) return Promise.reject(new Error(`no chunk ${sha256}`));
    return Promise.resolve(chunk.subarray(offset, offset + maxBytes));
  }

  describeSnapshot(index: number, term: number): StoredSnapshot | undefined {
    return this.stored?.meta.index === index && this.stored.meta.term === term ? this.stored : undefined;
  }

  /** Nothing here repairs a log. */
  readCommitted(): Promise<never> {
    return Promise.reject(new Error('a recorder has no log'));
  }
}

async function pollInRealTime(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + WAIT_LIMIT_MS;
  while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
}

function append(index: number, text: string): Message {
  return createMessage({
    type: 'MsgApp',
    to: TWO,
    from: ONE,
    term: toTerm(3),
    logTerm: toTerm(2),
    index: toLogIndex(index),
    commit: toLogIndex(index),
    entries: [
      { term: toTerm(3), index: toLogIndex(index + 1), type: 'normal', data: encoder.encode(text) },
      { term: toTerm(3), index: toLogIndex(index + 2), type: 'confChangeV2', data: new Uint8Array(0) },
    ],
  });
}

/** One message of each type that a `RaftNode` sends to others, every field set that the type uses. */
function everyType(): readonly Message[] {
  const head = { to: TWO, from: ONE, term: toTerm(7) };
  const confState = {
    voters: [ONE],
    votersOutgoing: [ONE, TWO],
    learners: [toNodeId(9)],
    learnersNext: [TWO],
    autoLeave: true,
  };
  return [
    append(5, 'data'),
    createMessage({
      ...head,
      type: 'MsgAppResp',
      index: toLogIndex(8),
      reject: true,
      rejectHint: toLogIndex(4),
      logTerm: toTerm(2),
    }),
    createMessage({
      ...head,
      type: 'MsgVote',
      index: toLogIndex(8),
      logTerm: toTerm(6),
      context: encoder.encode('transfer'),
    }),
    createMessage({ ...head, type: 'MsgVoteResp', reject: true }),
    createMessage({ ...head, type: 'MsgPreVote', index: toLogIndex(8), logTerm: toTerm(6) }),
    createMessage({ ...head, type: 'MsgPreVoteResp' }),
    createMessage({
      ...head,
      type: 'MsgHeartbeat',
      commit: toLogIndex(Number.MAX_SAFE_INTEGER),
      context: Uint8Array.of(0, 255),
    }),
    createMessage({ ...head, type: 'MsgHeartbeatResp', context: Uint8Array.of(0, 255) }),
    createMessage({
      ...head,
      type: 'MsgSnap',
      snapshot: { metadata: { index: toLogIndex(40), term: toTerm(6), confState }, data: new Uint8Array(0) },
    }),
    createMessage({ ...head, type: 'MsgTimeoutNow' }),
    createMessage({
      ...head,
      type: 'MsgReadIndex',
      term: toTerm(0),
      entries: [{ term: toTerm(0), index: toLogIndex(0), type: 'normal', data: Uint8Array.of(1, 2) }],
    }),
    createMessage({
      ...head,
      type: 'MsgReadIndexResp',
      index: toLogIndex(40),
      entries: [{ term: toTerm(0), index: toLogIndex(0), type: 'normal', data: Uint8Array.of(1, 2) }],
    }),
    createMessage({
      ...head,
      type: 'MsgProp',
      term: toTerm(0),
      entries: [{ term: toTerm(0), index: toLogIndex(0), type: 'normal', data: Uint8Array.of(9) }],
    }),
  ];
}

const SNAPSHOT: StoredSnapshot = {
  meta: {
    index: toLogIndex(40),
    term: toTerm(6),
    confState: { voters: [ONE], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
    members: [{ id: ONE, address: 'one', attributes: { zone: 'a' } }],
  },
  manifest: { sha256: 'a'.repeat(64), sizeBytes: 10 },
  chunks: [{ sha256: 'b'.repeat(64), sizeBytes: 300_000 }],
};

/** The suite for implementers of {@link Transport}. `createPair` makes a fresh pair for each case. */
export function testTransport(
  createPair: () => TransportPairFixture | Promise<TransportPairFixture>,
): readonly ConformanceCase[] {
  interface Started {
    readonly first: Transport;
    readonly second: Transport;
    readonly atFirst: Recorder;
    readonly atSecond: Recorder;
    readonly until: (condition: () => boolean, what: string) => Promise<void>;
    readonly settled: <Value>(promise: Promise<Value>) => Promise<Value>;
  }

  const started = (name: string, body: (pair: Started) => Promise<void>): ConformanceCase => ({
    name: `Transport: ${name}`,
    run: async () => {
      const fixture = await createPair();
      const waitFor = fixture.waitFor ?? pollInRealTime;
      const [first, second] = fixture.transports;
      const [atFirst, atSecond] = [new Recorder(), new Recorder()];
      const until: Started['until'] = async (condition, what) => {
        await waitFor(condition);
        ensure(condition(), what);
      };
      const settled: Started['settled'] = async (promise) => {
        let done = false;
        const mark = (): void => {
          done = true;
        };
        promise.then(mark, mark);
        await until(() => done, 'the call ends');
        return await promise;
      };
      try {
        await first.start(atFirst);
        await second.start(atSecond);
        first.setPeers([fixture.members[1]]);
        second.setPeers([fixture.members[0]]);
        await body({ first, second, atFirst, atSecond, until, settled });
      } finally {
        await first.stop();
        await second.stop();
        await fixture.dispose?.();
      }
    },
  });

  return [
    started(
      'every type of message arrives with every field as it was',
      async ({ first, atSecond, until }) => {
        const messages = everyType();
        for (const message of messages) first.send(TWO, [message]);
        await until(() => atSecond.received.length >= messages.length, `${messages.length} messages arrive`);
        for (const message of messages) {
          const arrived = atSecond.received.find((candidate) => candidate.message.type === message.type);
          ensureEqual(arrived?.message, message, message.type);
          ensureEqual(arrived?.from, ONE, `sender of ${message.type}`);
        }
      },
    ),

    started(
      'messages of one kind arrive in the order in which they were sent',
      async ({ first, atSecond, until }) => {
        const count = 500;
        for (let sent = 0; sent < count; sent += 5) {
          first.send(
            TWO,
            Array.from({ length: 5 }, (_, offset) => append(sent + offset, 'ordered')),
          );
        }
        await until(() => atSecond.received.length >= count, `${count} messages arrive`);
        const order = atSecond.received.map(({ message }) => message.index);
        ensureEqual(
          order,
          Array.from({ length: count }, (_, index) => index),
          'order of arrival',
        );
      },
    ),

    started('messages pass in both directions', async ({ first, second, atFirst, atSecond, until }) => {
      first.send(TWO, [append(1, 'there')]);
      second.send(ONE, [createMessage({ type: 'MsgHeartbeatResp', to: ONE, from: TWO, term: toTerm(1) })]);
      await until(
        () => atFirst.received.length > 0 && atSecond.received.length > 0,
        'a message arrives at each',
      );
      ensureEqual([atFirst.received[0]?.from, atSecond.received[0]?.from], [TWO, ONE], 'senders');
    }),

    started('a message with a large entry arrives whole', async ({ first, atSecond, until }) => {
      const data = new Uint8Array(2 * 1024 * 1024).map((_, index) => index % 251);
      const message = createMessage({
        type: 'MsgApp',
        to: TWO,
        from: ONE,
        term: toTerm(1),
        entries: [{ term: toTerm(1), index: toLogIndex(1), type: 'normal', data }],
      });
      first.send(TWO, [message]);
      await until(() => atSecond.received.length > 0, 'the message arrives');
      const arrived = atSecond.received[0]?.message.entries[0]?.data;
      ensure(
        arrived !== undefined &&
          arrived.length === data.length &&
          arrived.every((byte, at) => byte === data[at]),
        'the same 2 MiB',
      );
    }),

    started('sending to a stranger or after stop neither throws nor blocks', async ({ first, second }) => {
      first.send(toNodeId(77), [append(1, 'nobody')]);
      await second.stop();
      second.send(ONE, [append(1, 'too late')]);
      await second.stop();
    }),

    started(
      'a peer that stopped is reported as unreachable when something is sent to it',
      async ({ first, second, atFirst, atSecond, until }) => {
        first.send(TWO, [append(1, 'before')]);
        await until(() => atSecond.received.length > 0, 'the first message arrives');
        await second.stop();
        await until(() => {
          first.send(TWO, [append(2, 'after')]);
          return atFirst.unreachablePeers.includes(TWO);
        }, 'node 2 is reported as unreachable');
      },
    ),

    started(
      'a snapshot is described and its chunks are read by range',
      async ({ first, atSecond, settled }) => {
        const chunk = new Uint8Array(300_000).map((_, index) => index % 253);
        atSecond.stored = SNAPSHOT;
        atSecond.chunks.set('b'.repeat(64), chunk);
        const signal = new AbortController().signal;
        const { stored, source } = await settled(
          first.fetchSnapshot(TWO, SNAPSHOT.meta.index, SNAPSHOT.meta.term, signal),
        );
        ensureEqual(stored, SNAPSHOT, 'the description');
        let offset = 0;
        while (offset < chunk.length) {
          const part = await settled(source.read('b'.repeat(64), offset, 64 * 1024));
          ensure(
            part.length > 0 && part.length <= 64 * 1024,
            `a part of 1 to 65536 bytes, found ${part.length}`,
          );
          const at = offset;
          ensure(
            part.every((byte, index) => byte === chunk[at + index]),
            `the bytes at ${at} as they are`,
          );
          offset += part.length;
        }
        ensureEqual(offset, chunk.length, 'bytes read');
        await ensureFails(() => settled(source.read('c'.repeat(64), 0, 10)), 'reading an unknown chunk');
      },
    ),

    started(
      'a snapshot that the peer does not have, or an aborted call, rejects',
      async ({ first, settled }) => {
        const signal = new AbortController().signal;
        await ensureFails(
          () => settled(first.fetchSnapshot(TWO, toLogIndex(1), toTerm(1), signal)),
          'fetching an unknown snapshot',
        );
        const aborted = new AbortController();
        aborted.abort(new Error('enough'));
        await ensureFails(
          () => settled(first.fetchSnapshot(TWO, SNAPSHOT.meta.index, SNAPSHOT.meta.term, aborted.signal)),
          'fetching after an abort',
        );
      },
    ),

    started(
      'statistics count what was sent to a peer and know no strangers',
      async ({ first, atSecond, until }) => {
        first.send(TWO, [append(1, 'counted')]);
        await until(() => atSecond.received.length > 0, 'the message arrives');
        await until(() => (first.stats(TWO)?.sentMessages ?? 0) >= 1, 'one message is counted');
        ensure((first.stats(TWO)?.sentBytes ?? 0) > 0, 'its bytes are counted');
        ensureEqual(first.stats(toNodeId(77)), undefined, 'statistics of a stranger');
      },
    ),
  ];
}
