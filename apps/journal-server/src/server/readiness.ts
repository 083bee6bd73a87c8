/** Whether a node should get traffic. */
import type { ClusterFacts } from './facts.ts';

export interface ReadinessSources {
  readonly facts: () => ClusterFacts;
  readonly stopping: () => boolean;
  /** What stopped consensus or storage for good; undefined while they work. */
  readonly fatal: () => string | undefined;
  /** Why this replica must not boot nodes; undefined while nothing speaks against it. */
  readonly refusal?: () => string | undefined;
  /** Resolves once everything that was committed before the call is applied here; a quorum confirms that. */
  readonly caughtUp: () => Promise<unknown>;
  /** How long that may take. */
  readonly timeoutMs: number;
}

/** Resolves with why not; with nothing where it should. Those who ask at the same time share one round of the quorum. */
export function readiness(sources: ReadinessSources): () => Promise<readonly string[]> {
  const { facts, stopping, fatal, refusal, caughtUp, timeoutMs } = sources;
  let underWay: Promise<string | undefined> | undefined;
  const lagging = async (): Promise<string | undefined> => {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<string>((resolve) => {
      const limit = `${String(timeoutMs)} ms`;
      timer = setTimeout(() => resolve(`not caught up with what is committed within ${limit}`), timeoutMs);
    });
    const done = caughtUp().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : 'not caught up with what is committed'),
    );
    return Promise.race([done, tooLate]).finally(() => {
      clearTimeout(timer);
    });
  };
  return async () => {
    const stopped = fatal();
    if (stopped !== undefined) return [stopped];
    if (stopping()) return ['stopping'];
    const refused = refusal?.();
    if (refused !== undefined) return [refused];
    if (facts().leaderId === 0) return ['no leader known'];
    underWay ??= lagging().finally(() => {
      underWay = undefined;
    });
    const why = await underWay;
    return why === undefined ? [] : [why];
  };
}
