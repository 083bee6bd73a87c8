import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  JournalState,
  RestoreBuilder,
  canonicalJson,
  changesConfiguration,
  isJournalStateError,
} from '@pact-journal/journal-state';
import type { JournalSnapshot } from '@pact-journal/journal-state';
import {
  JournalFixture,
  aCommit,
  aDelta,
  aPolicy,
  anEmergencyStart,
  anEntry,
  anIdentity,
  anOperation,
  anOverlay,
  commandLogs,
  node,
  restoreFrom,
  vcluster,
} from '@pact-journal/journal-state/testing';
import { readEntryFacts } from '../src/parse/plain-text.ts';

/** A journal with something in every section, and several sealed segments. */
function eventful(entries = 9000): JournalFixture {
  const fixture = new JournalFixture();
  for (let i = 0; i < 50; i += 1) fixture.assign(`n${String(i)}`, i % 2 === 0 ? 'ml' : 'hpc');
  fixture.setPolicy(aPolicy('ml', { emergency_window_seconds: 60 }));
  fixture.append(anEmergencyStart(node('n7')));
  for (let i = 0; i < entries; i += 1) {
    fixture.append(
      aCommit(i % 10 === 0 ? vcluster('ml') : node(`n${String(i % 50)}`), {
        kernel: { [`k${String(i % 20)}`]: `ä${String(i)}` },
      }),
    );
  }
  fixture.append(aCommit(vcluster('hpc'), { kernel: { a: '1' } }, { ttl_seconds: 900 }));
  for (let i = 0; i < 20; i += 1) fixture.record(anOperation(`op${String(i)}`));
  fixture.setOverlay(anOverlay('ml', 1, new Uint8Array(1000)));
  fixture.try({ type: 'UpdateNodeState', node_id: 'n3', state: 'Drifted' }, 'request-1');
  fixture.try({ type: 'MoveCursor', cursor: { name: 'loki', next_sequence: 5, detail: 'x' } });
  return fixture;
}

type Dump = readonly {
  readonly key: string;
  readonly sealed: boolean;
  readonly records: readonly string[];
}[];

function dump(snapshot: JournalSnapshot): Dump {
  return snapshot.sections.map(({ key, sealed, records }) => ({
    key,
    sealed,
    records: [...records()].map((bytes) => Buffer.from(bytes).toString()),
  }));
}

function restoreDump(sections: Dump): unknown {
  const builder = new RestoreBuilder();
  for (const { key, records } of sections) {
    builder.section(key);
    for (const record of records) builder.record(Buffer.from(record));
  }
  return builder.finish();
}

function damage(sections: Dump): string {
  try {
    restoreDump(sections);
  } catch (error) {
    if (isJournalStateError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'restored';
}

describe('a snapshot', () => {
  it('restores to a journal of the same digest that goes on in the same way', () => {
    const fixture = eventful();
    const restored = restoreFrom(fixture.journal.snapshot());
    expect(restored.digest()).toBe(fixture.journal.digest());
    const next = { type: 'AppendEntry', entry: aCommit(node('n1'), { kernel: { z: '1' } }) } as const;
    const envelope = { command: next, request_id: 'request-2', time: fixture.time };
    expect(restored.apply(envelope)).toEqual(fixture.journal.apply(envelope));
    expect(restored.digest()).toBe(fixture.journal.digest());
    expect(restored.nodeState('n7')).toBe('Emergency');
    const repeated = { command: next, request_id: 'request-1', time: fixture.time };
    expect(restored.apply(repeated)).toEqual({
      result: { type: 'Ok' },
      changes: { staleOverlays: [] },
      repeated: true,
    });
  });

  it('is not disturbed by later commands', () => {
    const fixture = eventful(3000);
    const snapshot = fixture.journal.snapshot();
    const digest = fixture.journal.digest();
    const before = dump(snapshot);
    for (let i = 0; i < 50; i += 1) fixture.setState(`n${String(i)}`, 'Converging');
    for (let i = 0; i < 5000; i += 1) fixture.append(aCommit(node('new'), { kernel: { a: String(i) } }));
    fixture.setOverlay(anOverlay('ml', 2, 'later'));
    for (let i = 0; i < 70_000; i += 1)
      fixture.try({ type: 'UpdateNodeState', node_id: 'n1', state: 'Drifted' }, `r${String(i)}`);
    expect(dump(snapshot)).toEqual(before);
    expect(restoreFrom(snapshot).digest()).toBe(digest);
  });

  it('of the same state is the same, also after a restore', () => {
    const fixture = eventful(3000);
    const first = dump(fixture.journal.snapshot());
    expect(dump(fixture.journal.snapshot())).toEqual(first);
    expect(dump(restoreFrom(fixture.journal.snapshot()).snapshot())).toEqual(first);
  });

  it('shares its sealed sections with later ones: a key stands for one content for ever', () => {
    const fixture = eventful(5000);
    const known = new Map(
      dump(fixture.journal.snapshot())
        .filter((section) => section.sealed)
        .map((section) => [section.key, section.records]),
    );
    expect([...known.keys()].filter((key) => key.startsWith('entries/')).length).toBeGreaterThan(1);
    for (let i = 0; i < 6000; i += 1) fixture.append(aCommit(node('n1'), { kernel: { a: String(i) } }));
    fixture.setOverlay(anOverlay('ml', 12, 'new'));
    const later = new Map(dump(fixture.journal.snapshot()).map((section) => [section.key, section.records]));
    for (const [key, records] of known)
      if (!key.startsWith('overlays/')) expect(later.get(key)).toEqual(records);
    expect([...later.keys()].filter((key) => key.startsWith('overlays/ml/'))).not.toEqual(
      [...known.keys()].filter((key) => key.startsWith('overlays/ml/')),
    );
  });

  it('costs what changed: nodes and requests that did not change are in sealed sections of before', () => {
    const fixture = new JournalFixture();
    for (let i = 0; i < 5000; i += 1) fixture.setState(`n${String(i)}`, 'Committed');
    for (let i = 0; i < 80_000; i += 1)
      fixture.try({ type: 'UpdateNodeState', node_id: 'n0', state: 'Committed' }, `r${String(i)}`);
    const before = dump(fixture.journal.snapshot());
    fixture.setState('n2000', 'Drifted');
    for (let i = 0; i < 5000; i += 1)
      fixture.try({ type: 'UpdateNodeState', node_id: 'n0', state: 'Committed' }, `s${String(i)}`);
    const restored = restoreFrom(fixture.journal.snapshot());
    expect(restored.digest()).toBe(fixture.journal.digest());
    for (const journal of [fixture.journal, restored]) {
      const known = new Map(
        before.filter((section) => section.sealed).map((section) => [section.key, section.records]),
      );
      const after = dump(journal.snapshot());
      const fresh = after.filter((section) => !known.has(section.key));
      for (const { key, records } of after) if (known.has(key)) expect(records).toEqual(known.get(key));
      expect(fresh.map((section) => section.key.replace(/-.*/, ''))).toEqual([
        'summary',
        'nodes/000000001024',
        'requests/000000077824',
        'requests/open',
        'entries/open',
        'operations/open',
      ]);
    }
  });

  it('has records without newlines and keys of at most 512 bytes', () => {
    const fixture = eventful(100);
    const longId = 'ä'.repeat(128);
    fixture.append(aCommit(vcluster(longId), { files: { '/a\nb': 'x\ny' } }, { message: 'two\nlines' }));
    fixture.setOverlay(anOverlay(longId, fixture.journal.entryCount - 1));
    for (const { key, records } of dump(fixture.journal.snapshot())) {
      expect(Buffer.byteLength(key)).toBeLessThanOrEqual(512);
      for (const record of records) expect(record).not.toContain('\n');
    }
  });

  it('lets go of everything on release', () => {
    const snapshot = eventful(10).journal.snapshot();
    snapshot.release();
    expect(snapshot.sections).toEqual([]);
  });
});

describe('a damaged snapshot is refused with the section and what is wrong', () => {
  const whole = dump(eventful(50).journal.snapshot());
  const edit = (key: string, change: (records: readonly string[]) => readonly string[]): Dump =>
    whole.map((section) =>
      section.key.startsWith(key) ? { ...section, records: change(section.records) } : section,
    );
  const replace = (from: string, to: string) => (records: readonly string[]) =>
    records.map((record) => record.replace(from, to));

  it.each([
    [
      'a changed entry',
      edit('entries/', replace('k11', 'k12')),
      /snapshotDamaged: snapshot section entries\/open: entry 13 does not have the hash/,
    ],
    [
      'a missing entry',
      edit('entries/', (records) => records.toSpliced(3, 1)),
      /section entries\/open: has entry 4 where 3 belongs/,
    ],
    [
      'missing last entries',
      edit('entries/', (records) => records.slice(0, -1)),
      /promises entries 53, the other sections give 52/,
    ],
    [
      'a changed operation',
      edit('operations/', replace('"op4"', '"op5"')),
      /section operations\/open: operation 4 does not have the hash/,
    ],
    [
      'a missing operation',
      edit('operations/', (records) => records.slice(1)),
      /has operation 1 where 0 belongs/,
    ],
    ['a changed node', edit('nodes', replace('Drifted', 'Committed')), /section summary: promises digest/],
    [
      'a missing node',
      edit('nodes', (records) => records.slice(1)),
      /promises nodes 50, the other sections give 49/,
    ],
    [
      'a node that is none',
      edit('nodes', () => ['{"node_id":"n1"}']),
      /section nodes\/\S+: has a record that does not belong here/,
    ],
    ['a changed request', edit('requests', replace('request-1', 'request-9')), /promises digest/],
    [
      'a request that is none',
      edit('requests', () => ['{"request_id":"a"}']),
      /section requests\/open: has a record that does not belong here/,
    ],
    [
      'a changed overlay',
      edit('overlays/', replace('AAAA', 'AAAB')),
      /section overlays\/ml.*: the overlay of vcluster ml does not have its checksum/,
    ],
    ['an overlay that is none', edit('overlays/', () => ['{}']), /does not belong here/],
    ['an entry that is none', edit('entries/', () => ['{"sequence":0}']), /entry 0 does not have the hash/],
    [
      'text that is not JSON',
      edit('nodes', () => ['{']),
      /section nodes\/\S+: has a record that is not JSON/,
    ],
    [
      'a value that is not an object',
      edit('nodes', () => ['7']),
      /section nodes\/\S+: has a record that is not an object/,
    ],
    [
      'an unknown section',
      [...whole, { key: 'extras', sealed: false, records: [] }],
      /section extras: is not a section/,
    ],
    [
      'sections in another order',
      [...whole.slice(0, 1), ...whole.slice(1).toReversed()],
      /must come before it/,
    ],
    ['no summary', whole.slice(1), /has no summary/],
    ['an empty summary', edit('summary', () => ['{}']), /section summary: does not say its format/],
    [
      'two summaries',
      edit('summary', (records) => [...records, ...records]),
      /section summary: has more than one record/,
    ],
    [
      'a newer format',
      edit('summary', replace('"format":1', '"format":2')),
      /snapshotUnsupported: snapshot: has format 2, this version reads format 1/,
    ],
    ['nothing', [], /has no summary/],
  ])('%s', (_name, sections, message) => {
    expect(damage(sections)).toMatch(message);
  });

  it('any single changed character of any record is found', () => {
    const missed: string[] = [];
    for (const section of whole) {
      section.records.forEach((record, index) => {
        for (let position = index % 7; position < record.length; position += 7) {
          const char = record.charAt(position);
          const changed = record.slice(0, position) + (char === 'x' ? 'y' : 'x') + record.slice(position + 1);
          const sections = whole.map((other) =>
            other === section ? { ...other, records: other.records.toSpliced(index, 1, changed) } : other,
          );
          if (section.key.startsWith('entries') && index % 10 !== 0) continue;
          if (damage(sections) === 'restored')
            missed.push(
              `${section.key}[${String(index)}] ${record.slice(Math.max(0, position - 20), position + 5)}`,
            );
        }
      });
    }
    expect(missed).toEqual([]);
  });
});

describe('what a restore reads from an entry without parsing it', () => {
  it('is what parsing gives, whatever is in the entry', () => {
    const words = fc.string({
      unit: fc.constantFrom(
        '"',
        '\\',
        ',',
        ':',
        '{',
        '}',
        '"scope":',
        ',"sequence":',
        'a',
        'ä',
        '\n',
        '\ud800',
      ),
    });
    let plain = 0;
    fc.assert(
      fc.property(commandLogs(fc), words, words, (log, message, name) => {
        const journal = new JournalState();
        for (const envelope of log) journal.apply(envelope);
        const author = anIdentity({ principal: `p${name}`, role: `r${name}` });
        const odd = { message, author, policy_ref: name, emergency_reason: message };
        const fixture = new JournalFixture();
        fixture.append(anEntry({ ...odd, scope: vcluster(`v${name.replaceAll('\n', '')}v`) }));
        fixture.append(anEntry({ ...odd, state_delta: aDelta({ files: { [`k${name}`]: message } }) }));
        for (const state of [journal, fixture.journal]) {
          for (const entry of state.entries()) {
            const facts = readEntryFacts(canonicalJson(entry));
            if (facts === undefined) continue;
            plain += 1;
            const { sequence, entry_type, scope, state_delta, hash } = entry;
            const declares = changesConfiguration(entry_type) ? state_delta : null;
            expect(facts).toEqual({
              sequence,
              entry_type,
              scope,
              hash,
              state_delta: declares,
              parent: null,
              principal: entry.author.principal,
            });
            expect([entry.ttl_seconds, entry.expires, entry.policy]).toEqual([null, undefined, undefined]);
          }
        }
      }),
      { numRuns: 60 },
    );
    expect(plain).toBeGreaterThan(100);
  });
});
