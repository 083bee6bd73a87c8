import { describe, expect, it } from 'vitest';
import { Slices } from '../src/slices.ts';
import { busy } from './support/busy.ts';

describe('slices of the event loop', () => {
  it('do what is little at once', () => {
    const done: number[] = [];
    const slices = new Slices();
    for (const n of [1, 2, 3]) slices.run(0, () => done.push(n));
    expect(done).toEqual([1, 2, 3]);
  });

  it('let others have turns between what is much, and keep its order', async () => {
    const order: string[] = [];
    const slices = new Slices();
    for (let n = 1; n <= 6; n += 1) {
      slices.run(0, () => {
        busy(3);
        order.push(String(n));
      });
    }
    expect(order[0]).toBe('1');
    expect(order.length).toBeLessThan(3);
    for (let turn = 0; order.filter((item) => item !== 'turn').length < 6; turn += 1) {
      await new Promise(setImmediate);
      order.push('turn');
      expect(turn).toBeLessThan(10);
    }
    expect(order.filter((item) => item !== 'turn')).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(order.indexOf('6'), 'turns of others between').toBeGreaterThan(5);
  });

  it('are shared out: who has little waits for nobody who has much', async () => {
    const order: string[] = [];
    const slices = new Slices({ sliceMs: 1_000, piecesPerTurn: 2 });
    for (const name of ['much', 'much', 'much', 'much', 'much', 'much', 'little', 'less'])
      slices.run(name, () => order.push(name));
    expect(order).toEqual(['much', 'much']);
    await new Promise(setImmediate);
    expect(order.slice(2)).toEqual(['much', 'little']);
    await new Promise(setImmediate);
    expect(order.slice(4)).toEqual(['less', 'much']);
    await expect.poll(() => order.length).toBe(8);
  });
});
