import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  CURSORS_MAX,
  ENTRY_SIZE_BYTES_MAX,
  JournalState,
  OVERLAY_SIZE_BYTES_MAX,
  SYSTEM_IDENTITY,
} from '@pact-journal/journal-state';
import type { CommandEnvelope, ConfigEntry, JournalCommand } from '@pact-journal/journal-state';
import {
  JournalFixture,
  aCommit,
  aDelta,
  anEmergencyEnd,
  anEmergencyStart,
  anEntry,
  anEnvelope,
  anIdentity,
  anOperation,
  anOverlay,
  at,
  node,
  restoreFrom,
  seq,
  vcluster,
} from '@pact-journal/journal-state/testing';
import { append, refusal } from './support.ts';

describe('limits', () => {
  it('an overlay has at most 10 MiB', () => {
    const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    const fixture = new JournalFixture({ sha256 });
    fixture.append(aCommit(vcluster('ml')));
    const set = (size: number): JournalCommand => {
      const bytes = Buffer.alloc(size);
      const checksum = `sha256:${sha256(bytes)}`;
      const overlay = {
        ...anOverlay('ml', 0),
        data: bytes.toString('base64'),
        checksum,
        raw_size_bytes: size,
      };
      return { type: 'SetOverlay', overlay };
    };
    expect(refusal(fixture, set(OVERLAY_SIZE_BYTES_MAX + 1))).toBe('overlayTooLarge');
    expect(refusal(fixture, set(OVERLAY_SIZE_BYTES_MAX))).toBe('accepted');
  });

  it('an entry has at most 3.5 MiB, and one that is too large leaves no trace', () => {
    const fixture = new JournalFixture();
    const values = (count: number): unknown =>
      anEntry({
        scope: vcluster('big'),
        state_delta: aDelta({
          files: Object.fromEntries(
            Array.from({ length: count }, (_, index) => [`/f${String(index)}`, 'x'.repeat(1_000_000)]),
          ),
        }),
      });
    expect(4_000_000).toBeGreaterThan(ENTRY_SIZE_BYTES_MAX);
    expect(refusal(fixture, append(values(4)))).toBe('tooLarge');
    expect(fixture.journal.knowsVCluster('big')).toBe(false);
    expect(refusal(fixture, append(values(3)))).toBe('accepted');
    fixture.append(anEntry());
    expect([...fixture.journal.entries()].map((entry) => entry.sequence)).toEqual([0, 1]);
  });

  it('ids, keys, values and request ids are bounded', () => {
    const fixture = new JournalFixture();
    const long = 'x'.repeat(10_240);
    expect(refusal(fixture, { type: 'AssignNode', node_id: long, vcluster_id: 'ml' })).toBe('tooLarge');
    expect(refusal(fixture, append({ ...anEntry(), scope: { Node: long } }))).toBe('tooLarge');
    expect(refusal(fixture, append({ ...anEntry(), scope: { Node: 'a\nb' } }))).toBe('malformed');
    const item = (key: string, value: string): unknown => ({
      ...anEntry(),
      state_delta: { kernel: [{ action: 'Add', key, value }] },
    });
    expect(refusal(fixture, append(item('k'.repeat(4097), '')))).toBe('tooLarge');
    expect(refusal(fixture, append(item('ä'.repeat(2049), '')))).toBe('tooLarge');
    expect(refusal(fixture, append(item('k', 'v'.repeat(1_048_577))))).toBe('tooLarge');
    expect(refusal(fixture, append(item('ä'.repeat(2048), 'v'.repeat(1_048_576))))).toBe('accepted');
    expect(fixture.try(append(anEntry()), 'r'.repeat(129)).result).toMatchObject({ code: 'malformed' });
  });
});

describe('time', () => {
  it('never goes back in the log, even if the leader’s clock does', () => {
    const journal = new JournalState();
    for (const seconds of [10, 5, 11, 0]) journal.apply(anEnvelope(append(anEntry()), at(seconds)));
    expect([...journal.entries()].map((entry) => entry.timestamp)).toEqual([at(10), at(10), at(11), at(11)]);
  });

  it.each(['', 'yesterday', '2026-02-30T00:00:00.000Z', '2026-11-24', 5, null])(
    'refuses %j as the time of a command',
    (time) => {
      const envelope = { command: append(anEntry()), time } as CommandEnvelope;
      expect(new JournalState().apply(envelope).result).toMatchObject({
        type: 'ValidationError',
        code: 'malformed',
      });
    },
  );
});

describe('request ids: a retry gets the first answer', () => {
  it('appends once', () => {
    const fixture = new JournalFixture();
    const first = fixture.try(append(anEntry()), 'request-1');
    const second = fixture.try(append(anEntry({ message: 'again' })), 'request-1');
    expect(second).toEqual({ result: first.result, changes: { staleOverlays: [] }, repeated: true });
    expect(fixture.journal.entryCount).toBe(1);
  });

  it('holds for refusals too: the same id never has two outcomes', () => {
    const fixture = new JournalFixture();
    const refused = fixture.try(append(anEmergencyEnd(node('n1'))), 'request-1');
    fixture.append(anEmergencyStart(node('n1')));
    expect(fixture.try(append(anEmergencyEnd(node('n1'))), 'request-1').result).toEqual(refused.result);
    expect(fixture.try(append(anEmergencyEnd(node('n1'))), 'request-2').result.type).toBe('EntryAppended');
  });

  it('holds for the last 65,536 ids, in the order in which they came', () => {
    const journal = new JournalState();
    const send = (id: number): boolean =>
      journal.apply(
        anEnvelope({ type: 'UpdateNodeState', node_id: 'n', state: 'Drifted' }, at(0), `r${String(id)}`),
      ).repeated;
    for (let id = 0; id < 65_536; id += 1) send(id);
    expect([send(0), send(65_535)]).toEqual([true, true]);
    expect(send(65_536)).toBe(false);
    expect(send(1)).toBe(true);
    // The oldest has made room; as a new one it takes the place of the next.
    expect(send(0)).toBe(false);
    expect(send(1)).toBe(false);
  });
});

describe('operations', () => {
  it('are recorded in their own hash chain', () => {
    const fixture = new JournalFixture();
    fixture.record(anOperation('op1'));
    fixture.record(anOperation('op2', { operation_type: 'ShellStart', detail: 'session-7' }));
    const [first, second] = fixture.journal.operations();
    expect(first).toMatchObject({ audit_sequence: 0, operation_id: 'op1', timestamp: at(0) });
    expect(second).toMatchObject({
      audit_sequence: 1,
      operation_id: 'op2',
      timestamp: at(1),
      hash: fixture.journal.operationHeadHash,
    });
    expect(fixture.journal.entryCount).toBe(0);
  });

  it('arrive once: the same record again is fine, another one of the same id is refused', () => {
    const fixture = new JournalFixture();
    fixture.record(anOperation('op1'));
    fixture.record(anOperation('op1'));
    expect(fixture.journal.operationCount).toBe(1);
    const other = anOperation('op1', { detail: 'rm -rf /' });
    expect(refusal(fixture, { type: 'RecordOperation', operation: other })).toBe('duplicateOperation');
  });

  it('are read from a position on, or the newest ones', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < 5; i += 1) fixture.record(anOperation(`op${String(i)}`));
    const ids = (filter: { from?: number; limit?: number }): number[] =>
      [...fixture.journal.operations(filter)].map((operation) => operation.audit_sequence);
    expect(ids({ from: 3 })).toEqual([3, 4]);
    expect(ids({ from: 1, limit: 2 })).toEqual([1, 2]);
    expect(ids({ limit: 2 })).toEqual([3, 4]);
    expect(ids({ from: 9 })).toEqual([]);
  });
});

describe('entries', () => {
  function mixed(): JournalFixture {
    const fixture = new JournalFixture();
    const bob = anIdentity({ principal: 'bob' });
    fixture.append(anEntry());
    fixture.append(anEntry({ scope: vcluster('ml') }));
    fixture.append(anEntry({ scope: node('n1'), entry_type: 'DriftDetected', author: bob }));
    fixture.append(anEntry({ scope: vcluster('ml'), author: bob }));
    fixture.append(anEntry({ scope: vcluster('ml'), entry_type: 'ExecLog' }));
    fixture.append(anEntry({ author: bob }));
    return fixture;
  }
  const found = (fixture: JournalFixture, filter: Parameters<JournalState['entries']>[0]): number[] =>
    [...fixture.journal.entries(filter)].map((entry: ConfigEntry) => entry.sequence);

  it.each([
    [{}, [0, 1, 2, 3, 4, 5]],
    [{ scope: vcluster('ml') }, [1, 3, 4]],
    [{ scope: vcluster('unknown') }, []],
    [{ author: 'bob' }, [2, 3, 5]],
    [{ author: 'nobody' }, []],
    [{ entry_types: ['Commit' as const] }, [0, 1, 3, 5]],
    [{ entry_types: ['ExecLog' as const, 'DriftDetected' as const] }, [2, 4]],
    [{ entry_types: [] }, []],
    [{ scope: vcluster('ml'), author: 'bob', entry_types: ['Commit' as const] }, [3]],
    [{ from_sequence: seq(2), to_sequence: seq(4) }, [2, 3, 4]],
    [{ limit: 2 }, [4, 5]],
    [{ limit: 0 }, []],
    [{ scope: vcluster('ml'), limit: 2 }, [3, 4]],
    [{ entry_types: ['Commit' as const], limit: 2, to_sequence: seq(4) }, [1, 3]],
    [{ from_sequence: seq(4), limit: 5 }, [4, 5]],
  ])('matching %j are %j', (filter, expected) => {
    expect(found(mixed(), filter)).toEqual(expected);
  });

  it('of several rare types are found among many others, in order', () => {
    const fixture = new JournalFixture();
    const expected: number[] = [];
    for (let i = 0; i < 200; i += 1) {
      const entry_type = i % 50 === 7 ? 'ShellSession' : i % 50 === 3 ? 'ExecLog' : 'Commit';
      const sequence = fixture.append(anEntry({ entry_type }));
      if (entry_type !== 'Commit') expected.push(sequence);
    }
    expect(found(fixture, { entry_types: ['ShellSession', 'ExecLog'] })).toEqual(expected);
    expect(found(fixture, { entry_types: ['ShellSession', 'ExecLog'], limit: 3 })).toEqual(
      expected.slice(-3),
    );
    expect(found(fixture, { entry_types: ['ExecLog', 'Commit'], limit: 2 })).toEqual([198, 199]);
  });

  it('that arrive while a list is being read do not show in it', () => {
    const fixture = mixed();
    const iterator = fixture.journal.entries({ author: 'bob' })[Symbol.iterator]();
    expect(iterator.next().value).toMatchObject({ sequence: 2 });
    fixture.append(anEntry({ author: anIdentity({ principal: 'bob' }) }));
    expect([iterator.next().value, iterator.next().value]).toMatchObject([{ sequence: 3 }, { sequence: 5 }]);
    expect(iterator.next().done).toBe(true);
  });

  it('beyond the log are undefined', () => {
    const { journal } = mixed();
    expect(journal.entry(seq(6))).toBeUndefined();
    expect(new JournalState().entry(seq(0))).toBeUndefined();
  });
});

describe('cursors of exporters', () => {
  const move = (name: string, next_sequence: number, detail = ''): JournalCommand => ({
    type: 'MoveCursor',
    cursor: { name, next_sequence, detail },
  });

  it('move forward only, each by itself', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < 3; i += 1) fixture.append(aCommit(node('n1')));
    expect(fixture.journal.cursor('loki')).toBeUndefined();
    expect(fixture.try(move('loki', 2, 'two')).changes).toEqual({ staleOverlays: [], cursor: 'loki' });
    expect(fixture.try(move('loki', 1, 'one'))).toMatchObject({ result: { type: 'Ok' } });
    expect(fixture.journal.cursor('loki')).toEqual({ name: 'loki', next_sequence: 2, detail: 'two' });
    expect(fixture.journal.cursor('archive')).toBeUndefined();
  });

  it('never run ahead of the journal', () => {
    const fixture = new JournalFixture();
    expect(refusal(fixture, move('loki', 1))).toBe('malformed');
    expect(refusal(fixture, move('loki', 0))).toBe('accepted');
  });

  it('are few and small', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < CURSORS_MAX; i += 1) {
      expect(refusal(fixture, move(`exporter-${String(i)}`, 0))).toBe('accepted');
    }
    expect(refusal(fixture, move('one-more', 0))).toBe('tooLarge');
    expect(refusal(fixture, move('exporter-0', 0, 'x'.repeat(1_025)))).toBe('tooLarge');
    expect(refusal(fixture, move('x'.repeat(65), 0))).toBe('tooLarge');
  });

  it('are part of the digest and of snapshots', () => {
    const fixture = new JournalFixture();
    fixture.append(aCommit(node('n1')));
    const before = fixture.journal.digest();
    fixture.try(move('loki', 1, 'one'));
    expect(fixture.journal.digest()).not.toBe(before);
    expect(restoreFrom(fixture.journal.snapshot()).cursor('loki')?.detail).toBe('one');
  });
});

describe('the system identity', () => {
  it('is a Service', () => {
    expect(SYSTEM_IDENTITY).toEqual({
      principal: 'system:journal',
      principal_type: 'Service',
      role: 'system',
    });
  });
});
