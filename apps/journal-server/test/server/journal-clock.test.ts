/** What time the journal counts when computers' clocks are wrong. */
import { describe, expect, test } from 'vitest';
import { JournalClock, systemTime } from '../../src/server/journal-clock.ts';

const START = Date.parse('2026-11-24T12:00:00Z');
const YEAR_MS = 365 * 86_400_000;

/** A machine whose time of day and elapsed time are moved by hand. */
class Machine {
  wall = START;
  elapsed = 500;
  readonly clock = new JournalClock({ wallMs: () => this.wall, elapsedMs: () => this.elapsed });

  pass(ms: number): void {
    this.wall += ms;
    this.elapsed += ms;
  }
}

describe('the time counted', () => {
  test('is the time of day, small corrections included, forwards and backwards', () => {
    const machine = new Machine();
    machine.pass(60_000);
    expect(machine.clock.now()).toBe(START + 60_000);
    machine.wall += 9_000;
    expect(machine.clock.now()).toBe(START + 69_000);
    machine.wall -= 5_000;
    expect(machine.clock.now()).toBe(START + 64_000);
    expect(machine.clock.trouble()).toEqual({ jumpMs: 0, skewMs: 0, journalAheadMs: 0 });
  });

  test.each([YEAR_MS, -YEAR_MS])('does not follow a jump (%i ms), and says so until it is undone', (jump) => {
    const machine = new Machine();
    machine.pass(1_000);
    machine.wall += jump;
    machine.pass(1_000);
    expect(machine.clock.now()).toBe(START + 2_000);
    expect(machine.clock.trouble().jumpMs).toBe(jump);
    machine.wall -= jump;
    expect(machine.clock.now()).toBe(START + 2_000);
    expect(machine.clock.trouble().jumpMs).toBe(0);
  });

  test('is that of most members where this one started with a wrong clock', () => {
    const machine = new Machine();
    machine.clock.peerSaid(2, START - YEAR_MS);
    expect(machine.clock.now()).toBe(START);
    machine.clock.peerSaid(3, START - YEAR_MS + 40);
    machine.pass(1_000);
    expect(machine.clock.now()).toBe(START - YEAR_MS + 1_000 + 40);
    expect(machine.clock.trouble().skewMs).toBe(YEAR_MS - 40);
    // What it tells others is its own count: the members judge each other, not each other's judgement.
    expect(machine.clock.counted()).toBe(START + 1_000);
  });

  test('is not moved by a minority, nor by a single other', () => {
    const machine = new Machine();
    machine.clock.peerSaid(2, START + YEAR_MS);
    expect(machine.clock.now()).toBe(START);
    machine.clock.peerSaid(3, START + 20);
    expect(machine.clock.now()).toBe(START);
    machine.clock.peerSaid(4, START + YEAR_MS);
    expect(machine.clock.now()).toBe(START);
    expect(machine.clock.trouble().skewMs).toBe(0);
  });

  test('forgets who is no member', () => {
    const machine = new Machine();
    machine.clock.peerSaid(2, START + YEAR_MS);
    machine.clock.peerSaid(3, START + YEAR_MS);
    machine.clock.keepOnly([{ id: 1 }, { id: 2 }]);
    expect(machine.clock.now()).toBe(START);
  });

  test('goes on from the newest time in the journal where that is ahead: it neither goes back nor stands still', () => {
    const machine = new Machine();
    machine.clock.continueFrom(START + YEAR_MS);
    expect(machine.clock.now()).toBe(START + YEAR_MS);
    machine.pass(5_000);
    expect(machine.clock.now()).toBe(START + YEAR_MS + 5_000);
    expect(machine.clock.trouble().journalAheadMs).toBe(YEAR_MS);
    machine.clock.continueFrom(START);
    expect(machine.clock.now()).toBe(START + 5_000);
  });
});

describe("this machine's time elapsed", () => {
  test('counts the time that the machine slept at once, never goes back, and seldom asks for the uptime', () => {
    const machine = { uptime: 70_000, monotonic: 1_000, wall: START, asked: 0 };
    const pass = (ms: number, awake = true): void => {
      machine.uptime += ms;
      machine.wall += ms;
      if (awake) machine.monotonic += ms;
    };
    const { elapsedMs } = systemTime(
      () => {
        machine.asked += 1;
        return Math.floor(machine.uptime / 1_000) * 1_000;
      },
      () => machine.monotonic,
      () => machine.wall,
    );
    const start = elapsedMs();
    for (let turn = 0; turn < 10_000; turn += 1) {
      pass(0.1);
      elapsedMs();
    }
    expect(elapsedMs() - start).toBeCloseTo(1_000);
    expect(machine.asked).toBeLessThan(10);
    pass(3_600_000, false);
    let newest = elapsedMs();
    expect(Math.abs(newest - start - 3_601_000)).toBeLessThanOrEqual(1_000);
    for (let turn = 0; turn < 100; turn += 1) {
      pass(99);
      const now = elapsedMs();
      expect(now).toBeGreaterThanOrEqual(newest);
      newest = now;
    }
  });
});
