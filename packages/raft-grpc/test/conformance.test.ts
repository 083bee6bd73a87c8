import { toNodeId } from '@pact-journal/raft-core';
import { testTransport } from '@pact-journal/raft-core/testing';
import { describe, it } from 'vitest';
import { GrpcTransport } from '../src/index.ts';
import { freeAddress } from './support/cluster.ts';

describe("raft-core's suite for transports", () => {
  const cases = testTransport(async () => {
    const [first, second] = [await freeAddress(), await freeAddress()];
    const transport = (id: number, listen: string) =>
      new GrpcTransport({ id: toNodeId(id), clusterId: 'test', listen, timings: { drainMs: 50 } });
    return {
      transports: [transport(1, first), transport(2, second)],
      members: [
        { id: toNodeId(1), address: first, attributes: {} },
        { id: toNodeId(2), address: second, attributes: {} },
      ],
    };
  });
  for (const { name, run } of cases) it(name, run);
});
