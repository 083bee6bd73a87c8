/** What a conformance suite is made of: named cases that any test framework can run. */

/**
 * One case of a suite. Hand each to your framework, for example
 * `for (const { name, run } of testLogStore(create)) it(name, run)`.
 */
export interface ConformanceCase {
  /** What must hold. */
  readonly name: string;
  /** Rejects with an Error that says what was expected and what was found. */
  readonly run: () => Promise<void>;
}

/** Fails the case unless `condition` holds. */
export function ensure(condition: boolean, expectation: string): asserts condition {
  if (!condition) throw new Error(`expected: ${expectation}`);
}

/** Fails the case unless both have the same JSON (bytes count as arrays of numbers). */
export function ensureEqual(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [render(actual), render(expected)];
  if (found !== wanted) throw new Error(`${what}: expected ${wanted}, found ${found}`);
}

/** Fails the case unless `work` throws or rejects; returns what it threw. */
export async function ensureFails(work: () => unknown, what: string): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error(`expected: ${what} fails`);
}

function render(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) => (part instanceof Uint8Array ? Array.from(part) : part)) ??
    'undefined'
  );
}
