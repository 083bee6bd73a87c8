import type { SeededRandom } from '../src/core/index.ts';
import { isRaftError } from '../src/runtime/errors.ts';
import type { Host } from './host.ts';
import type { Oracle } from './oracle.ts';
import type { SimClock } from './sim-clock.ts';

/** What clients see of the group. */
export interface ClientView {
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly oracle: Oracle;
  readonly hosts: () => readonly Host[];
  readonly leader: () => Host | undefined;
  /** An error that breaks a promise, from wherever it came. */
  readonly onViolation: (error: unknown) => void;
}

const encoder = new TextEncoder();

/** Writes and reads, and holds every answer against what it means. */
export class Client {
  readonly #view: ClientView;
  readonly #name: string;
  #count = 0;
  #stopped = false;

  constructor(view: ClientView, name: string) {
    this.#view = view;
    this.#name = name;
  }

  start(): void {
    const { clock, random } = this.#view;
    const turn = (): void => {
      if (this.#stopped) return;
      this.act();
      clock.schedule(1 + random.nextInt(24), turn);
    };
    clock.schedule(random.nextInt(20), turn);
  }

  stop(): void {
    this.#stopped = true;
  }

  act(): void {
    const { random, hosts, leader } = this.#view;
    const all = hosts();
    const host = random.nextInt(4) > 0 ? leader() : all[random.nextInt(all.length)];
    if (host?.node === undefined) return;
    if (random.nextInt(5) < 3) {
      const burst = random.nextInt(8) === 0 ? 10 : 1;
      for (let i = 0; i < burst; i += 1) void this.write(host);
    } else {
      // Anywhere, and above all where somebody thinks that he leads: it may not be true any more.
      for (const reader of all) {
        if (reader.node !== undefined && (reader.leadsTerm > 0 || random.nextInt(4) === 0)) this.read(reader);
      }
    }
  }

  /** Resolves to true when the write was acknowledged. */
  write(host: Host): Promise<boolean> {
    const { oracle, onViolation } = this.#view;
    const { node } = host;
    if (node === undefined) return Promise.resolve(false);
    this.#count += 1;
    const text = `${this.#name}-${this.#count}`;
    return node.propose(encoder.encode(text)).then(
      ({ index, term }) => {
        guard(onViolation, () => oracle.acknowledged(text, index, term));
        return true;
      },
      (error: unknown) => {
        if (isRaftError(error) && error.outcome === 'notCommitted')
          guard(onViolation, () => oracle.refused(text));
        return false;
      },
    );
  }

  read(host: Host): void {
    const { oracle, onViolation } = this.#view;
    const { node } = host;
    if (node === undefined) return;
    const floor = oracle.readFloor();
    // The state of this process: by the time of the answer another one may be running there.
    const { machine } = host;
    node.linearizableRead().then(
      () => guard(onViolation, () => oracle.read(host.id, floor, machine?.records.at(-1)?.index ?? 0)),
      () => undefined,
    );
  }
}

function guard(onViolation: (error: unknown) => void, check: () => void): void {
  try {
    check();
  } catch (error) {
    onViolation(error);
  }
}
