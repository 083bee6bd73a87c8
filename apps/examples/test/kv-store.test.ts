import { testStateMachine } from '@pact-journal/raft-core/testing';
import { describe, it } from 'vitest';
import { encodeWrite, KeyValueStore } from '../src/kv/store.ts';

/** Writes, overwrites and deletions, of keys that are there and that are not. */
const commands = Array.from({ length: 300 }, (_, at) =>
  encodeWrite({ key: `key ${at % 23}\n`, value: at % 5 === 0 ? null : `value\n${at}` }),
);

describe('the key-value store as a state machine', () => {
  for (const { name, run } of testStateMachine(() => new KeyValueStore(), { commands })) it(name, run);
});
