import type { Entry, SnapshotContent, StateMachine } from '@pact-journal/raft-core';

/** A command is one line of JSON, so that the log on disk can be read with jq. `value: null` deletes. */
export interface Write {
  readonly key: string;
  readonly value: string | null;
}

export function encodeWrite(write: Write): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(write));
}

/** The replicated state: a map. Deterministic, as every state machine must be. */
export class KeyValueStore implements StateMachine<{ existed: boolean }> {
  #values = new Map<string, string>();

  get(key: string): string | undefined {
    return this.#values.get(key);
  }

  apply(entries: readonly Entry[]): { existed: boolean }[] {
    return entries.map(({ data }) => {
      const { key, value } = JSON.parse(new TextDecoder().decode(data)) as Write;
      const existed = this.#values.has(key);
      if (value === null) this.#values.delete(key);
      else this.#values.set(key, value);
      return { existed };
    });
  }

  /** A copy, so that later writes do not disturb the picture. A large state would share instead of copying. */
  snapshot(): SnapshotContent {
    const picture = new Map(this.#values);
    return {
      sections: [
        {
          key: 'values',
          sealed: false,
          *records() {
            for (const [key, value] of picture) yield encodeWrite({ key, value });
          },
        },
      ],
      release: () => picture.clear(),
    };
  }

  async restore(sections: Parameters<StateMachine<unknown>['restore']>[0]): Promise<void> {
    this.#values = new Map();
    for await (const { records } of sections) {
      for await (const record of records) {
        const { key, value } = JSON.parse(new TextDecoder().decode(record)) as Write;
        if (value !== null) this.#values.set(key, value);
      }
    }
  }
}
