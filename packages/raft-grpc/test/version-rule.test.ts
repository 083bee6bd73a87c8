import { describe, expect, it } from 'vitest';
import { compareVersions, findVersionMismatch } from '../src/inbound/version-rule.ts';

const node = (
  nodeId: number,
  softwareVersion: string,
  oldestPeerVersion: string,
  [oldestProtocolVersion, protocolVersion]: readonly [number, number] = [1, 1],
) => ({ nodeId, softwareVersion, oldestPeerVersion, oldestProtocolVersion, protocolVersion });

/** The rule is symmetric: whoever calls, the outcome is the same. */
function mismatch(...[one, other]: [ReturnType<typeof node>, ReturnType<typeof node>]): string | undefined {
  const outcome = findVersionMismatch(one, other);
  expect(findVersionMismatch(other, one) === undefined).toBe(outcome === undefined);
  return outcome;
}

describe('which versions can be mixed', () => {
  it.each([
    ['the same', '1.4.2', '1.4.2'],
    ['another patch', '1.4.2', '1.4.9'],
    ['the oldest that the newer one takes', '1.3.0', '1.4.2'],
    ['a later major release that says so', '1.9.0', '2.0.0'],
  ])('%s', (_what, older, newer) => {
    const oldest = newer === '2.0.0' ? '1.9.0' : '1.3.0';
    expect(mismatch(node(1, older, '1.0.0'), node(2, newer, oldest))).toBeUndefined();
  });

  it('the newer node decides: what the older one takes says nothing about it', () => {
    expect(mismatch(node(1, '1.2.9', '0.1.0'), node(2, '1.4.0', '1.3.0'))).toMatch(/node 1 runs 1\.2\.9/);
    expect(mismatch(node(1, '1.2.9', '1.2.9'), node(2, '1.4.0', '1.0.0'))).toBeUndefined();
  });

  it('one that does not say its version is taken', () => {
    expect(mismatch(node(1, '', ''), node(2, '1.4.0', '1.3.0'))).toBeUndefined();
  });

  it('protocols must overlap', () => {
    expect(mismatch(node(1, '', '', [1, 2]), node(2, '', '', [2, 3]))).toBeUndefined();
    expect(mismatch(node(1, '', '', [0, 1]), node(2, '', '', [1, 2]))).toBeUndefined();
    expect(mismatch(node(1, '', '', [1, 1]), node(2, '', '', [2, 3]))).toMatch(
      'node 1 speaks version 1 of the Raft protocol, node 2 versions 2 to 3',
    );
  });

  it('numbers are compared as numbers', () => {
    expect(compareVersions('1.10.0', '1.9.9')).toBeGreaterThan(0);
    expect(compareVersions('1.2', '1.2.0')).toBe(0);
    expect(compareVersions('1.2.0-rc.1', '1.2.0')).toBe(0);
    expect(compareVersions('unknown', '1.2.0')).toBeUndefined();
  });
});
