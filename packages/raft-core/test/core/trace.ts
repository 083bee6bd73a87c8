import { createHash } from 'node:crypto';
import { describeReady, renderEvent, SeededRandom, toLogIndex, toNodeId } from '../../src/core/index.ts';
import type { Message } from '../../src/core/index.ts';
import { bytes, compactAt, ids, Network, stepQuietly } from './network.ts';

const STEPS = 3000;

/**
 * Runs a group of five through a random life that only the seed decides, and hashes every Ready and every event. Also
 * bundled and run by itself, to compare engines.
 */
export function traceHash(seed: number): string {
  const random = new SeededRandom(seed);
  const hash = createHash('sha256');
  const voters = ids(1, 2, 3, 4, 5);
  const network = new Network(voters, {
    preVote: seed % 2 === 0,
    checkQuorum: true,
    electionTick: 10,
    maxInflightMessages: 4,
    maxSizePerMsgBytes: 200,
    random,
  });
  let flying: Message[] = [];
  for (let count = 0; count < STEPS; count += 1) {
    const member = network.member(1 + random.nextInt(5));
    switch (random.nextInt(6)) {
      case 0:
      case 1:
        member.raw.tick();
        break;
      case 2:
        if (member.role === 'leader' && random.nextInt(3) === 0) {
          if (member.raw.basicStatus().transferTarget === toNodeId(0))
            member.raw.propose(bytes(`value ${count}`));
        } else {
          member.raw.readIndex(bytes(`read ${count}`));
        }
        break;
      case 3:
        if (member.raw.basicStatus().applied > member.storage.firstIndex() + 10) {
          compactAt(member, toLogIndex(member.raw.basicStatus().applied));
        }
        break;
      default: {
        const [message] = flying.splice(random.nextInt(flying.length + 1), 1);
        if (message !== undefined) {
          if (random.nextInt(8) === 0) flying.push(message);
          if (random.nextInt(8) > 0) stepQuietly(network.member(message.to), message);
        }
      }
    }
    for (const { raw } of network.members.values()) {
      if (raw.hasReady()) hash.update(`${raw.basicStatus().id}\n`);
    }
    for (const worker of network.members.values()) {
      network.work(worker, (ready) => hash.update(describeReady(ready)));
      for (const event of worker.events.splice(0)) hash.update(`${renderEvent(event)?.text ?? event.type}\n`);
    }
    flying = [...flying, ...network.inFlight].slice(-200);
    network.inFlight = [];
  }
  return hash.digest('hex');
}
