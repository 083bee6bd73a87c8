/** Boots many nodes at once: the load of a whole machine after a power cut. */
import type { SecureContextOptions } from 'node:tls';
import { StormConnection } from './connection.ts';
import { StormStatistics, type StormReport } from './statistics.ts';
import { CorruptPayload, PayloadVerifier } from './verification.ts';

export interface StormOptions {
  /** `host:port`, used in turn. */
  readonly endpoints: readonly string[];
  readonly token: string | undefined;
  /** Undefined: plain text. */
  readonly tls: SecureContextOptions | undefined;
  readonly vcluster: string;
  readonly nodes: number;
  /** Boots at once, each on a connection of its own that it keeps for its next one. */
  readonly concurrency: number;
  readonly nodePrefix: string;
  /** For one boot, in milliseconds. */
  readonly timeoutMs: number;
  /** Turns a compressed overlay into its JSON. */
  readonly decode: (data: Uint8Array) => unknown;
  /** Called after each boot. */
  readonly onProgress: (statistics: StormStatistics) => void;
}

export interface StormOutcome {
  readonly report: StormReport;
  /** The first message of each kind of failure. */
  readonly examples: ReadonlyMap<string, string>;
}

/** Every payload is verified; one that is wrong counts as failed with `CORRUPT`. */
export async function runStorm(options: StormOptions): Promise<StormOutcome> {
  const statistics = new StormStatistics();
  const verifier = new PayloadVerifier(options.vcluster, options.decode);
  const digits = String(options.nodes - 1).length;
  let next = 0;
  const startMs = performance.now();

  const bootOne = async (connection: StormConnection, nodeId: string): Promise<void> => {
    const sentMs = performance.now();
    const body = verifier.collect();
    const { code, message } = await connection.boot(nodeId, options.vcluster, options.timeoutMs, body);
    if (code !== 'OK') return statistics.failure(code, message);
    try {
      const { sizeBytes } = verifier.verify(body, nodeId);
      statistics.success(performance.now() - sentMs, sizeBytes);
    } catch (error) {
      const reason = error instanceof CorruptPayload ? error.message : `not a boot stream: ${String(error)}`;
      statistics.failure('CORRUPT', reason);
    }
  };

  const workers = Array.from({ length: Math.min(options.concurrency, options.nodes) }, async (_, worker) => {
    const connection = new StormConnection(
      options.endpoints[worker % options.endpoints.length] ?? '',
      options.token,
      options.tls,
    );
    while (next < options.nodes) {
      const node = next;
      next += 1;
      await bootOne(connection, `${options.nodePrefix}${String(node).padStart(digits, '0')}`);
      options.onProgress(statistics);
    }
    connection.close();
  });
  await Promise.all(workers);
  return { report: statistics.report(performance.now() - startMs), examples: statistics.examples };
}
