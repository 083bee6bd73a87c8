/** Who waits for whom: calls and handshakes of several clients at once. */
import { describe, expect, it } from 'vitest';
import { Handshakes } from '../src/front/handshakes.ts';
import type { Handshake } from '../src/front/handshakes.ts';
import { Rounds } from '../src/front/rounds.ts';
import { Turns } from '../src/front/turns.ts';

const turn = (): Promise<void> => new Promise(setImmediate);
const nothing = (): void => undefined;

describe('calls', () => {
  it('of one caller that are too many at once wait, in order, and keep nobody else', async () => {
    const turns = new Turns({ sliceMs: 1_000 }, 2);
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    const call = (name: string): void =>
      turns.run(name.charAt(0), () => {
        begun.push(name);
        return new Promise((resolve) => ends.set(name, resolve));
      });
    for (const name of ['a1', 'a2', 'a3', 'a4', 'b1']) call(name);
    expect(begun).toEqual(['a1', 'a2', 'b1']);
    ends.get('a2')?.();
    await expect.poll(() => begun).toEqual(['a1', 'a2', 'b1', 'a3']);
    ends.get('a1')?.();
    ends.get('a3')?.();
    await expect.poll(() => begun).toEqual(['a1', 'a2', 'b1', 'a3', 'a4']);
  });
});

describe('handshakes', () => {
  it('begin a few in a turn of the event loop, addresses in turn', async () => {
    const handshakes = new Handshakes({ perTurnMax: 2, pendingMax: 100, pendingPerAddressMax: 100 });
    const begun: string[] = [];
    const add = (name: string): Handshake => handshakes.add(name.charAt(0), () => begun.push(name));
    for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'b1']) add(name);
    expect(begun).toEqual(['a1', 'a2']);
    await turn();
    expect(begun).toHaveLength(4);
    expect(begun).toContain('b1');
    await turn();
    await turn();
    expect(begun).toHaveLength(7);
  });

  it('that are left unfinished take no more places than they may, of one address and of all', async () => {
    const handshakes = new Handshakes({ perTurnMax: 100, pendingMax: 5, pendingPerAddressMax: 3 });
    const of = (address: string, count: number): Handshake[] =>
      Array.from({ length: count }, () => handshakes.add(address, nothing));
    const [ofA, ofB] = [of('a', 10), of('b', 10)];
    const pending = (those: readonly Handshake[]): number =>
      those.filter(({ state }) => state === 'pending').length;
    await turn();
    expect([pending(ofA), pending(ofB), handshakes.pending]).toEqual([3, 2, 5]);
    for (const handshake of ofA) handshakes.end(handshake);
    await turn();
    expect([pending(ofA), pending(ofB)]).toEqual([0, 3]);
    for (const handshake of [...ofA, ...ofB]) handshakes.end(handshake);
    expect(handshakes.pending).toBe(0);
    const late = handshakes.add('a', nothing);
    expect(late.state).toBe('pending');
  });

  it('that are not wanted any more before their turn never begin', async () => {
    const handshakes = new Handshakes({ perTurnMax: 1, pendingMax: 100, pendingPerAddressMax: 100 });
    const begun: string[] = [];
    handshakes.add('a', () => begun.push('first'));
    const left = handshakes.add('a', () => begun.push('left'));
    handshakes.add('a', () => begun.push('last'));
    handshakes.end(left);
    await turn();
    await turn();
    expect(begun).toEqual(['first', 'last']);
  });
});

describe('rounds', () => {
  it('look at everything, a few at a time, and at nothing that was taken out', async () => {
    const looked: number[] = [];
    const rounds = new Rounds<number>((thing) => looked.push(thing), { perLookMax: 2, intervalMs: 1 });
    for (const thing of [1, 2, 3, 4, 5]) rounds.add(thing);
    rounds.delete(3);
    await expect.poll(() => looked.length).toBeGreaterThanOrEqual(4);
    expect(looked.slice(0, 4)).toEqual([1, 2, 4, 5]);
    for (const thing of [1, 2, 4, 5]) rounds.delete(thing);
  });
});
