/** `pnpm bench raft`: what consensus costs in memory, without disks and networks, in one process. */
import { print, round, thousands, type BenchReport, type Figures } from '../report.ts';
import { CoreGroup } from './cores.ts';
import { measureLiferaft } from './liferaft.ts';
import { measureNodes } from './nodes.ts';

const ENTRY_BYTES = 512;
const GOALS = { batchesOf64: 200_000, oneAtATime: 20_000 };
const HEAP_ENTRIES = 10_000_000;

/** Entries a second of three bare cores, proposed `batchSize` at a time. */
function measureCores(batchSize: number, seconds: number): number {
  const group = new CoreGroup();
  const batch = Array.from({ length: batchSize }, () => new Uint8Array(ENTRY_BYTES));
  for (let warmUp = 0; warmUp < 20_000; warmUp += batchSize) group.commit(batch);
  const before = group.applied;
  const startedAt = performance.now();
  const deadline = startedAt + seconds * 1000;
  while (performance.now() < deadline) for (let i = 0; i < 16; i++) group.commit(batch);
  return ((group.applied - before) / (performance.now() - startedAt)) * 1000;
}

function heapMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / (1024 * 1024);
}

/** Heap after a tenth and after all of ten million entries, compacted on the way. */
function measureHeap(entries: number): Figures {
  const group = new CoreGroup();
  // A fresh array each time, as from a network: shared data would hide what is kept.
  const batch = (): Uint8Array[] => Array.from({ length: 64 }, () => new Uint8Array(16));
  const start = group.applied;
  const runTo = (count: number): void => {
    while (group.applied - start < count) group.commit(batch());
  };
  runTo(entries / 10);
  const early = heapMiB();
  runTo(entries);
  const late = heapMiB();
  return {
    entries,
    heap_mib_at_a_tenth: round(early),
    heap_mib_at_the_end: round(late),
    growth_mib: round(late - early),
  };
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const quick = args.includes('--quick');
  const seconds = quick ? 1 : 5;
  const batchesOf64 = measureCores(64, seconds);
  print(
    `three cores, batches of 64:       ${thousands(batchesOf64).padStart(12)} entries/s (goal ${thousands(GOALS.batchesOf64)})`,
  );
  const oneAtATime = measureCores(1, seconds);
  print(
    `three cores, one at a time:       ${thousands(oneAtATime).padStart(12)} entries/s (goal ${thousands(GOALS.oneAtATime)})`,
  );

  const nodes: Record<string, Figures> = {};
  let atOne = 0;
  for (const concurrency of [1, 64, 256]) {
    const measured = await measureNodes(concurrency, seconds, ENTRY_BYTES);
    if (concurrency === 1) atOne = measured.entriesPerSecond;
    nodes[`callers_${concurrency}`] = {
      entries_per_s: Math.round(measured.entriesPerSecond),
      p50_ms: round(measured.p50Ms),
      p99_ms: round(measured.p99Ms),
    };
    print(
      `three nodes, ${String(concurrency).padStart(3)} callers:         ${thousands(measured.entriesPerSecond).padStart(12)} entries/s, p50 ${round(measured.p50Ms)} ms, p99 ${round(measured.p99Ms)} ms`,
    );
  }

  const heap = measureHeap(quick ? HEAP_ENTRIES / 10 : HEAP_ENTRIES);
  print(
    `heap over ${thousands(Number(heap['entries']))} entries:     ${String(heap['heap_mib_at_a_tenth'])} MiB early, ${String(heap['heap_mib_at_the_end'])} MiB at the end`,
  );

  const peer = await measureLiferaft(seconds, ENTRY_BYTES);
  if (peer === null) print('liferaft: cannot be run here');
  else
    print(
      `liferaft, three nodes, one caller: ${thousands(peer.entriesPerSecond).padStart(11)} entries/s, p50 ${round(peer.p50Ms)} ms`,
    );

  return {
    ours: {
      cores: {
        batches_of_64_entries_per_s: Math.round(batchesOf64),
        one_at_a_time_entries_per_s: Math.round(oneAtATime),
      },
      nodes,
      heap,
    },
    peer:
      peer === null
        ? null
        : {
            name: 'liferaft',
            version: peer.version,
            callers_1: { entries_per_s: Math.round(peer.entriesPerSecond), p50_ms: round(peer.p50Ms) },
          },
    ratios: {
      cores_batches_of_64_to_goal: round(batchesOf64 / GOALS.batchesOf64),
      cores_one_at_a_time_to_goal: round(oneAtATime / GOALS.oneAtATime),
      ...(peer === null ? {} : { nodes_one_caller_to_liferaft: round(atOne / peer.entriesPerSecond) }),
    },
  };
}
