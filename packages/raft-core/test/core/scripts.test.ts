import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { normalize } from '../../conformance/compare.ts';
import { parseDataFile } from '../../conformance/data-file.ts';
import { runSuite } from '../../conformance/suite.ts';
import { quoteBytes } from '../../src/core/index.ts';
import { bytes } from './network.ts';

const folder = join(import.meta.dirname, 'scripts');

describe('interaction scripts', () => {
  it('this package’s own scripts print what they should, log lines included', () => {
    const { passed, failures } = runSuite(folder, true);
    expect(failures.map(({ place, detail }) => `${place}\n${detail}`)).toEqual([]);
    expect(passed).toBeGreaterThan(80);
  });

  it('a folder that is not of the three languages is a failure, not a silent pass', () => {
    const { passed, failures } = runSuite(import.meta.dirname, false);
    expect(passed).toBeGreaterThan(80);
    expect(failures.map(({ place }) => place)).toContain('scripts.test.ts');
  });
});

describe('the script format', () => {
  it('has cases with input, comments between them, and doubled separators around output with blank lines', () => {
    const cases = parseDataFile(
      'x.txt',
      '# why\ncmd a=1 b=(2, 3) c\ninput\n----\nout\n\n\nnext\n----\n----\none\n\ntwo\n----\n----\n\nlast\n----\nok\n',
    );
    expect(
      cases.map(({ name, line, args, input, expected }) => ({ name, line, args, input, expected })),
    ).toEqual([
      {
        name: 'cmd',
        line: 2,
        args: [
          { key: 'a', values: ['1'] },
          { key: 'b', values: ['2', '3'] },
          { key: 'c', values: [] },
        ],
        input: 'input',
        expected: 'out',
      },
      { name: 'next', line: 8, args: [], input: '', expected: 'one\n\ntwo' },
      { name: 'last', line: 17, args: [], input: '', expected: 'ok' },
    ]);
  });

  it('leaves log lines out of a comparison unless it is exact', () => {
    const output = 'DEBUG a\nx\n  INFO b\n  y\nINFORMAL\n';
    expect(normalize(output, false)).toEqual(['x', '  y', 'INFORMAL']);
    expect(normalize(output, true)).toHaveLength(5);
    expect(normalize('INFO only\n', false)).toEqual(normalize('ok\n', false));
  });
});

describe('quoted data', () => {
  it.each([
    ['plain', '"plain"'],
    ['tab\tnewline\nquote"back\\slash', '"tab\\tnewline\\nquote\\"back\\\\slash"'],
    ['\u0007\b\f\r\v\u0000\u007f', '"\\a\\b\\f\\r\\v\\x00\\x7f"'],
    ['ä∞😀', '"ä∞😀"'],
    ['\u00a0\u200b\u{e0001}', '"\\u00a0\\u200b\\U000e0001"'],
  ])('%j is shown as %s', (value, quoted) => {
    expect(quoteBytes(bytes(value))).toBe(quoted);
  });

  it('bytes that are not UTF-8 are shown one by one', () => {
    expect(quoteBytes(Uint8Array.of(0xff, 0x61, 0xc3, 0xed, 0xa0, 0x80, 0xc0, 0x80))).toBe(
      '"\\xffa\\xc3\\xed\\xa0\\x80\\xc0\\x80"',
    );
  });
});
