import { describe, expect, test } from 'vitest';
import { parseMountInfoLine, unescapeOctal } from '../../src/capture/mounts.ts';

describe('parseMountInfoLine', () => {
  test("keeps the mount's own options first and adds those of its file system once", () => {
    const line = '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue,noatime';
    expect(parseMountInfoLine(line)).toEqual({
      path: '/mnt2',
      spec: { fs_type: 'ext3', source: '/dev/root', options: 'rw,noatime,errors=continue', read_only: false },
    });
  });

  test('any number of optional tags may stand before the separator', () => {
    const line =
      '36 35 98:0 / /scratch rw shared:1 master:2 propagate_from:3 - lustre mgs@tcp:/scratch rw,flock';
    expect(parseMountInfoLine(line)?.spec).toEqual({
      fs_type: 'lustre',
      source: 'mgs@tcp:/scratch',
      options: 'rw,flock',
      read_only: false,
    });
  });

  test.each([
    ['the mount', '1 2 0:3 / /a ro,nosuid - nfs4 server:/a rw,vers=4.2'],
    ['its file system', '1 2 0:3 / /a rw,nosuid - nfs4 server:/a ro,vers=4.2'],
  ])('is read-only when %s is', (_who, line) => {
    expect(parseMountInfoLine(line)?.spec).toMatchObject({ options: 'ro,nosuid,vers=4.2', read_only: true });
  });

  test('octal escapes of space, tab, newline and backslash are decoded in path, source and options', () => {
    const line = String.raw`1 2 0:3 / /mnt/my\040disk\011x rw - cifs //srv/a\134b rw,domain=A\040B`;
    expect(parseMountInfoLine(line)).toEqual({
      path: '/mnt/my disk\tx',
      spec: { fs_type: 'cifs', source: String.raw`//srv/a\b`, options: 'rw,domain=A B', read_only: false },
    });
  });

  test.each(['', 'nonsense', '1 2 0:3 / /a rw shared:1 nfs4 server:/a rw'])(
    '%j is not understood',
    (line) => {
      expect(parseMountInfoLine(line)).toBeUndefined();
    },
  );
});

describe('unescapeOctal', () => {
  test('bytes of one character may be escaped one by one', () => {
    expect(unescapeOctal(String.raw`caf\303\251`)).toBe('café');
  });

  test('a backslash that starts no escape stays', () => {
    expect(unescapeOctal(String.raw`a\9b\4`)).toBe(String.raw`a\9b\4`);
  });
});
