import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JournalState, canonicalJson, encodeCommand } from '@pact-journal/journal-state';
import type { CommandEnvelope } from '@pact-journal/journal-state';
import {
  aCommit,
  aPolicy,
  anEnvelope,
  anIdentity,
  at,
  commandLogs,
} from '@pact-journal/journal-state/testing';
import { readPlainCommand } from '../src/parse/plain-text.ts';

/** What somebody writes who is out to confuse a reader. */
const UNITS = ['a', '"', '\\', '/', ',', '{', ']', '","role":"', ',"state_delta":', '\n', '\u0001', 'ä'];
const word = fc.oneof(
  { weight: 40, arbitrary: fc.string({ unit: fc.constantFrom(...UNITS), maxLength: 5 }) },
  { weight: 1, arbitrary: fc.constantFrom('😀', '\ud800') },
);
const wordOrNull = fc.option(word);
/** Names may not have control characters. */
const name = word.map((text) => `n${text.replaceAll('\n', '').replaceAll('\u0001', '')}n`);

const item = fc.record({
  action: fc.constantFrom('Add', 'Modify', 'Remove'),
  key: fc.oneof(word, fc.constantFrom('a', 'b')),
  previous: wordOrNull,
  value: wordOrNull,
});
const items = fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.array(item, { maxLength: 3 }));

/** Envelopes of entries with nothing special, most of which are acceptable. */
const envelope = fc
  .record({
    principal: name,
    emergency_reason: wordOrNull,
    entry_type: fc.constantFrom('Commit', 'AutoConverge', 'DriftDetected', 'ExecLog'),
    message: fc.option(word, { nil: undefined }),
    parent: fc.option(fc.nat({ max: 3 }), { freq: 8 }),
    policy_ref: wordOrNull,
    scope: fc.oneof(
      fc.constant('Global'),
      name.map((Node) => ({ Node })),
      name.map((VCluster) => ({ VCluster })),
    ),
    state_delta: fc.option(
      fc.record({
        files: items,
        gpu: fc.constant([]),
        kernel: items,
        mounts: items,
        network: items,
        packages: items,
        services: items,
      }),
      { freq: 8 },
    ),
    request_id: fc.option(name, { nil: undefined }),
  })
  .map(({ principal, message, request_id, ...entry }) => ({
    command: {
      entry: {
        ...entry,
        author: anIdentity({ principal, role: principal }),
        ...(message === undefined ? {} : { message }),
        ttl_seconds: null,
      },
      type: 'AppendEntry',
    },
    ...(request_id === undefined ? {} : { request_id }),
    time: '2026-11-24T08:00:00.000Z',
  }));

const utf8 = new TextEncoder();

describe('a plain command', () => {
  it('is read as JSON.parse reads it, whatever people write into it', () => {
    let plain = 0;
    fc.assert(
      fc.property(envelope, (json) => {
        const text = canonicalJson(json);
        const read = readPlainCommand(text);
        if (read === undefined) return;
        plain += 1;
        expect(JSON.parse(JSON.stringify(read.envelope))).toEqual(JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
    // All but those with half a character, or one that takes two code units.
    expect(plain).toBeGreaterThan(300);
  });

  it('is none as soon as one character makes it other JSON than the canonical one, or no JSON', () => {
    const inserted = fc.constantFrom(
      ' ',
      '"',
      '\\',
      '\\u0041',
      '\\u000a',
      '\\/',
      '\\u00',
      '\n',
      '0',
      '-0',
      '1e2',
      '01',
      '{}',
      ',',
      '"a":1,',
      ',"x":null',
      'null',
      '\ud800',
      'é',
    );
    let plain = 0;
    fc.assert(
      fc.property(envelope, fc.nat(), fc.nat({ max: 3 }), inserted, (json, at, cut, text) => {
        const whole = canonicalJson(json);
        const place = at % (whole.length + 1);
        const changed = `${whole.slice(0, place)}${text}${whole.slice(place + cut)}`;
        const read = readPlainCommand(changed);
        if (read === undefined) return;
        plain += 1;
        const parsed: unknown = JSON.parse(changed);
        expect(JSON.parse(JSON.stringify(read.envelope))).toEqual(parsed);
        expect(canonicalJson(parsed)).toBe(changed);
      }),
      { numRuns: 20_000 },
    );
    expect(plain).toBeGreaterThan(100);
  });

  it('leaves the same behind as the same command that was parsed, and gives the same answer', () => {
    let plain = 0;
    fc.assert(
      fc.property(
        fc.array(envelope, { minLength: 1, maxLength: 8 }),
        commandLogs(fc, { maxLength: 20 }),
        (ours, theirs) => {
          const [read, parsed] = [new JournalState(), new JournalState()];
          for (const json of [...theirs, ...ours] as CommandEnvelope[]) {
            const text = canonicalJson(json);
            if (readPlainCommand(text) !== undefined) plain += 1;
            expect(read.applyBytes(utf8.encode(text))).toEqual(
              parsed.apply(JSON.parse(text) as CommandEnvelope),
            );
          }
          expect(read.digest()).toBe(parsed.digest());
          expect([...read.entries()]).toEqual([...parsed.entries()]);
          const histories = [read, parsed].map((journal) =>
            journal
              .snapshot()
              .sections.map((section) => [...section.records()].map((record) => canonicalText(record))),
          );
          expect(histories[0]).toEqual(histories[1]);
        },
      ),
      { numRuns: 300 },
    );
    expect(plain).toBeGreaterThan(1000);
  });

  it('has bounds: a longer one is parsed, and one full of escapes is read', () => {
    const json = (message: string): unknown => ({
      command: {
        entry: {
          author: anIdentity(),
          emergency_reason: null,
          entry_type: 'Commit',
          message,
          parent: null,
          policy_ref: null,
          scope: 'Global',
          state_delta: null,
          ttl_seconds: null,
        },
        type: 'AppendEntry',
      },
      time: '2026-11-24T08:00:00.000Z',
    });
    const full = json('\n"'.repeat(16_000));
    expect(readPlainCommand(canonicalJson(full))?.envelope).toMatchObject(full as object);
    expect(readPlainCommand(canonicalJson(json('x'.repeat(64 * 1024))))).toBeUndefined();
  });
});

describe('what is kept of a plain command', () => {
  it('does not keep its text in memory, neither of an entry nor of one that waits for approval', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const grown = (vcluster: string): number => {
      const journal = new JournalState();
      const policy = aPolicy('two', { two_person_approval: true });
      journal.apply(anEnvelope({ type: 'SetPolicy', vcluster_id: 'two', author: anIdentity(), policy }));
      collect();
      const before = process.memoryUsage().heapUsed;
      for (let index = 0; index < 400; index += 1) {
        const author = anIdentity({
          principal: `somebody-${String(index)}@example.org`,
          role: 'one-of-many-roles',
        });
        const message = 'x'.repeat(50_000);
        const files = { [`/etc/a-file-of-its-own-${String(index)}`]: `a value of its own ${String(index)}` };
        const entry = aCommit({ VCluster: vcluster }, { files }, { author, message });
        const envelope = anEnvelope(
          { type: 'AppendEntry', entry },
          at(index),
          `a-request-of-its-own-${String(index)}`,
        );
        expect(journal.applyBytes(encodeCommand(envelope)).result.type).toBe('EntryAppended');
      }
      collect();
      const bytes = process.memoryUsage().heapUsed - before;
      expect(journal.entryCount).toBe(401);
      return bytes;
    };
    // Together the texts have 20 MB.
    expect(grown('two')).toBeLessThan(6e6);
    expect(grown('ml')).toBeLessThan(6e6);
  });
});

const canonicalText = (record: Uint8Array): string => new TextDecoder().decode(record);
