import { FaultCounts } from './faults.ts';
import { TraceHash } from './trace-hash.ts';
import { World } from './world.ts';
import type { RunResult } from './world.ts';

export interface SimulationOptions {
  readonly start: number;
  readonly seeds: number;
  /** Ends with the first violation. */
  readonly untilViolation: boolean;
  readonly onResult: (result: RunResult) => void;
}

export interface SimulationSummary {
  readonly seeds: number;
  readonly ticks: number;
  readonly violations: number;
  readonly faults: FaultCounts;
  readonly traceHash: string;
}

/** Runs one world after the other, each from its own seed. */
export async function simulate(options: SimulationOptions): Promise<SimulationSummary> {
  const faults = new FaultCounts();
  const trace = new TraceHash();
  let ticks = 0;
  let violations = 0;
  let seeds = 0;
  for (let seed = options.start; seed < options.start + options.seeds; seed += 1) {
    const result = await withoutStacks(() => new World(seed).run());
    seeds += 1;
    ticks += result.ticks;
    faults.addAll(result.faults);
    trace.addText(result.traceHash);
    if (result.violation !== undefined) violations += 1;
    options.onResult(result);
    if (options.untilViolation && violations > 0) break;
  }
  return { seeds, ticks, violations, faults, traceHash: trace.digest() };
}

/** Nodes refuse a lot here, with errors that nobody reads: recording where they come from would take as long as the rest. */
async function withoutStacks<Value>(work: () => Promise<Value>): Promise<Value> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
