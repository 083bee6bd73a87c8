/**
 * `auth`: what authentication costs. Two servers with the same TLS, one of which authenticates and authorizes every
 * call; the same calls go to both in turn, on connections that are up. What counts is the servers' CPU time a call,
 * which other work on the machine changes least. `--rounds N` (24) of `--calls N` (400) boots and as many commits each.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { percentile, print, round } from '../report.ts';
import type { BenchReport } from '../report.ts';
import { startIssuer } from '../secured/issuer.ts';
import { startSecured, type SecuredServer } from '../secured/server.ts';
import { WireClient } from '../secured/wire-client.ts';

/** Calls at once. */
const CONCURRENCY = 16;

interface Contender {
  readonly server: SecuredServer;
  readonly client: WireClient;
  /** Milliseconds of CPU a call, a sample a round. */
  readonly samples: Record<'boot' | 'commit', number[]>;
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      rounds: { type: 'string', default: '24' },
      calls: { type: 'string', default: '400' },
    },
  });
  const [rounds, calls] = [Number(values.rounds), Number(values.calls)];
  const issuer = await startIssuer();
  const contenders: Contender[] = [];
  try {
    const text = randomBytes(200_000).toString('base64');
    for (const url of [undefined, issuer.url]) {
      const server = await startSecured(url);
      const token =
        url === undefined ? undefined : issuer.token('operator@example.org', 'pact-platform-admin');
      const client = await WireClient.connect(server.address, server.ca, token);
      contenders.push({ server, client, samples: { boot: [], commit: [] } });
      let at = 0;
      await client.declareOverlay((characters) => text.slice(at, (at += characters)));
    }
    for (let count = -2; count < rounds; count += 1) {
      for (const kind of ['boot', 'commit'] as const) {
        // Who comes first has a colder cache: take turns.
        for (const { server, client, samples } of count % 2 === 0 ? contenders : contenders.toReversed()) {
          const before = server.cpuSeconds();
          await many(calls, () => client[kind]());
          if (count >= 0) samples[kind].push(((server.cpuSeconds() - before) * 1_000) / calls);
        }
      }
    }
    return report(contenders);
  } finally {
    for (const { client } of contenders) client.close();
    await Promise.all([...contenders.map(({ server }) => server.stop()), issuer.stop()]);
  }
}

async function many(calls: number, call: () => Promise<number>): Promise<void> {
  let left = calls;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await call();
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, caller));
}

function report([open, authenticated]: readonly Contender[]): BenchReport {
  if (open === undefined || authenticated === undefined) throw new Error('assertion failed: there are two');
  const ours: Record<string, unknown> = {};
  const ratios: Record<string, number> = {};
  for (const kind of ['boot', 'commit'] as const) {
    const [without, with_] = [
      percentile(open.samples[kind], 0.5),
      percentile(authenticated.samples[kind], 0.5),
    ];
    ours[kind] = { cpu_ms: round(without), authenticated_cpu_ms: round(with_) };
    ratios[`${kind} cpu`] = round(without / with_);
    print(
      `${kind.padEnd(7)} ${without.toFixed(3)} ms CPU, authenticated ${with_.toFixed(3)} ms: ` +
        `${((with_ / without - 1) * 100).toFixed(1)} % more`,
    );
  }
  return { ours, peer: null, ratios };
}
