import {
  Changer,
  describeConfig,
  describeError,
  describeProgressMap,
  ProgressTracker,
  toLogIndex,
} from '../src/core/index.ts';
import type { ChangedConfig, ConfChangeSingle } from '../src/core/index.ts';
import { parseConfChanges } from './conf-changes.ts';
import { parseBoolean, valueOf } from './data-file.ts';
import type { Case } from './data-file.ts';

/** Runs membership changes on one tracker, whose last index grows by one with every case. */
export class ConfChanges {
  readonly #tracker = new ProgressTracker(10, 0);
  #lastIndex = 0;

  run(test: Case): string {
    const changer = new Changer(this.#tracker, toLogIndex(this.#lastIndex));
    this.#lastIndex += 1;
    try {
      const { config, progress } = change(changer, test, parseConfChanges(test.input));
      this.#tracker.install(config, progress);
    } catch (error) {
      return describeError(error);
    }
    const statuses = new Map([...this.#tracker.progress].map(([id, progress]) => [id, progress.status()]));
    return `${describeConfig(this.#tracker.config)}\n${describeProgressMap(statuses)}`;
  }
}

function change(changer: Changer, test: Case, changes: readonly ConfChangeSingle[]): ChangedConfig {
  switch (test.name) {
    case 'simple':
      return changer.simple(changes);
    case 'enter-joint':
      return changer.enterJoint(parseBoolean(valueOf(test, 'autoleave') ?? 'false'), changes);
    case 'leave-joint':
      if (changes.length > 0) throw new Error('this command takes no input');
      return changer.leaveJoint();
    default:
      throw new Error('unknown command');
  }
}
