/** What boots and subscriptions read from: the local replica. */
import type { BootSource } from '@pact-journal/boot-stream';
import type { JournalView } from '@pact-journal/journal-state';
import type { Overlay, OverlayManager } from '@pact-journal/overlay-builder';
import type { JournalMachine } from './journal-machine.ts';

interface Waiter {
  readonly sequence: number;
  readonly wake: () => void;
}

export class ReplicaSource implements BootSource {
  readonly #machine: JournalMachine;
  readonly #overlays: OverlayManager;
  readonly refusal: () => string | undefined;
  readonly #waiters = new Set<Waiter>();

  constructor(machine: JournalMachine, overlays: OverlayManager, refusal: () => string | undefined) {
    this.#machine = machine;
    this.#overlays = overlays;
    this.refusal = refusal;
    const wake = (): void => {
      for (const waiter of this.#waiters) if (waiter.sequence < this.view().entryCount) waiter.wake();
    };
    machine.onChanges(wake);
    machine.onReplaced(wake);
  }

  view(): JournalView {
    return this.#machine.state;
  }

  currentOverlay(vclusterId: string): Overlay | Promise<Overlay> {
    return this.#overlays.current(vclusterId);
  }

  async waitForSequence(sequence: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (sequence < this.view().entryCount) return;
    await new Promise<void>((resolve, reject) => {
      const finish = (): void => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        finish();
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      const waiter: Waiter = {
        sequence,
        wake: () => {
          finish();
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal.addEventListener('abort', abort);
    });
  }

  onAppended(listener: () => void): () => void {
    const stopChanges = this.#machine.onChanges((changes) => {
      if (changes.some((change) => change.entry !== undefined)) listener();
    });
    const stopReplaced = this.#machine.onReplaced(listener);
    return () => {
      stopChanges();
      stopReplaced();
    };
  }

  onAssigned(listener: (nodeId: string) => void): () => void {
    return this.#machine.onChanges((changes) => {
      for (const { assignment } of changes) if (assignment !== undefined) listener(assignment);
    });
  }
}
