/**
 * The state machine at scale: 1,000,000 entries of about 512 bytes, 1,000 vClusters, 100,000 nodes. How fast commands
 * are applied, how long a node's delta takes, what a snapshot costs to capture and to restore, and the memory of it all.
 */
import { JournalState, RestoreBuilder, encodeCommand, entrySeq } from '@pact-journal/journal-state';
import type { CommandEnvelope, EntryType, Scope } from '@pact-journal/journal-state';
import { nativeSha256 } from '@pact-journal/journal-state/node';
import { percentile, print, round, thousands } from './report.ts';
import type { BenchReport } from './report.ts';

const VCLUSTERS = 1_000;
const NODES = 100_000;
/** As many commands as one group commit brings: what is applied at once is not what fills the memory. */
const BATCH = 256;
const KEYS_PER_SCOPE = 40;

/** Seven of ten entries are commits of one node, one of a vCluster; the others record drift and commands. */
const TYPES: readonly EntryType[] = [
  'Commit',
  'Commit',
  'Commit',
  'Commit',
  'Commit',
  'Commit',
  'Commit',
  'Commit',
  'DriftDetected',
  'ExecLog',
];

const nodeId = (index: number): string => `node-${String(index % NODES).padStart(6, '0')}`;
const vclusterId = (index: number): string => `vcluster-${String(index % VCLUSTERS).padStart(4, '0')}`;

/** A spread of indexes that is the same every time. */
const scatter = (index: number): number => Math.imul(index + 1, 0x9e37_79b1) >>> 0;

function command(index: number): CommandEnvelope {
  const random = scatter(index);
  const slot = index % TYPES.length;
  const scope: Scope = slot === 0 ? { VCluster: vclusterId(random) } : { Node: nodeId(random) };
  const key = `vm.parameter.${String((random >>> 7) % KEYS_PER_SCOPE)}`;
  const item = { action: 'Modify' as const, key, previous: null, value: String(random) };
  return {
    command: {
      type: 'AppendEntry',
      entry: {
        author: {
          principal: `operator-${String(random % 200)}`,
          principal_type: 'Human',
          role: 'pact-platform-admin',
        },
        emergency_reason: null,
        entry_type: TYPES[slot] ?? 'Commit',
        message: `change ${String(index)} of the load`,
        parent: null,
        policy_ref: null,
        scope,
        state_delta: {
          files: [],
          gpu: [],
          kernel: [item],
          mounts: [],
          network: [],
          packages: [],
          services: [],
        },
        ttl_seconds: null,
      },
    },
    request_id: `request-${String(index)}`,
    time: '2026-11-24T08:00:00.000Z',
  };
}

const batch = (from: number, count: number): CommandEnvelope[] =>
  Array.from({ length: count }, (_, at) => command(from + at));

function collect(): NodeJS.MemoryUsage {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage();
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e6);

/**
 * Milliseconds of this thread's own work, where Node tells (24 does): the figure that other programs on the machine
 * don't disturb. Work of the garbage collector's helper threads is not in it.
 */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

interface Rates {
  readonly perSecond: number;
  /** By this thread's CPU time, its share of garbage collection included. */
  readonly perCpuSecond: number;
  /** Of the median batch: neither interrupted by other programs nor by garbage collection. */
  readonly perSecondInMedianBatch: number;
  readonly slowestBatchMs: number;
}

/** Applies nodes' assignments and `count` entries; only the applying is timed. */
function load(journal: JournalState, count: number): Rates {
  for (let index = 0; index < NODES; index += 1) {
    const assign = { type: 'AssignNode' as const, node_id: nodeId(index), vcluster_id: vclusterId(index) };
    journal.apply({ command: assign, time: '2026-11-24T08:00:00.000Z' });
  }
  let totalMs = 0;
  let cpuMs = 0;
  const batchesMs: number[] = [];
  for (let from = 0; from < count; from += BATCH) {
    const commands = batch(from, Math.min(BATCH, count - from));
    const startCpu = threadMs();
    const start = performance.now();
    for (const envelope of commands) journal.apply(envelope);
    const took = performance.now() - start;
    cpuMs += threadMs() - startCpu;
    totalMs += took;
    batchesMs.push(took);
  }
  if (journal.entryCount !== count)
    throw new Error(`${String(journal.entryCount)} of ${String(count)} entries were accepted`);
  return {
    perSecond: (count / totalMs) * 1000,
    perCpuSecond: (count / cpuMs) * 1000,
    perSecondInMedianBatch: (BATCH / percentile(batchesMs, 0.5)) * 1000,
    slowestBatchMs: batchesMs.reduce((a, b) => Math.max(a, b), 0),
  };
}

/** The rate for commands as they come out of the replicated log. */
function bytesPerSecond(journal: JournalState): number {
  const count = 100_000;
  let totalMs = 0;
  for (let from = 0; from < count; from += BATCH) {
    const commands = batch(10_000_000 + from, BATCH).map(encodeCommand);
    const start = performance.now();
    for (const bytes of commands) journal.applyBytes(bytes);
    totalMs += performance.now() - start;
  }
  return (count / totalMs) * 1000;
}

/** Microseconds of each of many calls. */
function sampleUs(count: number, call: (index: number) => unknown): number[] {
  return Array.from({ length: count }, (_, index) => {
    const start = performance.now();
    call(index);
    return (performance.now() - start) * 1000;
  });
}

function spread(samples: readonly number[]): {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
} {
  return {
    p50: round(percentile(samples, 0.5)),
    p99: round(percentile(samples, 0.99)),
    max: round(samples.reduce((a, b) => Math.max(a, b), 0)),
  };
}

/** A global commit, then every vCluster's overlay input, as the overlay builder asks for them. */
function globalCommit(journal: JournalState): {
  readonly applyMs: number;
  readonly inputsMs: number;
  readonly slowestInputMs: number;
} {
  const { command: inner, time } = command(0);
  if (inner.type !== 'AppendEntry') throw new Error('the load consists of entries');
  const envelope: CommandEnvelope = {
    command: { type: 'AppendEntry', entry: { ...inner.entry, scope: 'Global' } },
    time,
  };
  const start = performance.now();
  journal.apply(envelope);
  const applied = performance.now();
  let slowest = 0;
  for (const id of journal.vclusters()) {
    const before = performance.now();
    journal.overlayInput(id);
    slowest = Math.max(slowest, performance.now() - before);
  }
  return {
    applyMs: round(applied - start),
    inputsMs: round(performance.now() - applied),
    slowestInputMs: round(slowest),
  };
}

/** Captures, reads and restores a snapshot. The records are held as a store would: one buffer a section. */
function snapshotAndRestore(journal: JournalState): {
  captureMs: number;
  restoreS: number;
  restoreCpuS: number;
  sizeBytes: number;
} {
  journal.digest();
  const capturesMs = sampleUs(20, () => journal.snapshot()).map((us) => us / 1000);
  const captureMs = percentile(capturesMs, 0.5);
  const snapshot = journal.snapshot();
  const builder = new RestoreBuilder({ sha256: nativeSha256 });
  let sizeBytes = 0;
  let restoreMs = 0;
  let cpuMs = 0;
  for (const section of snapshot.sections) {
    const records = [...section.records()].map((record) => record.slice());
    const beforeCpu = threadMs();
    const before = performance.now();
    builder.section(section.key);
    for (const record of records) {
      builder.record(record);
      sizeBytes += record.length;
    }
    restoreMs += performance.now() - before;
    cpuMs += threadMs() - beforeCpu;
  }
  const before = performance.now();
  const restored = builder.finish();
  restoreMs += performance.now() - before;
  if (restored.digest() !== journal.digest()) throw new Error('the restored journal has another digest');
  return {
    captureMs: round(captureMs),
    restoreS: round(restoreMs / 1000),
    restoreCpuS: round(cpuMs / 1000),
    sizeBytes,
  };
}

/** Runs the benchmark; `--entries N` for another number of entries. */
export function run(args: readonly string[]): Promise<BenchReport> {
  const given = args.indexOf('--entries');
  const entries = given < 0 ? 1_000_000 : Number(args[given + 1]);
  const empty = collect();
  const journal = new JournalState({ sha256: nativeSha256 });
  const rates = load(journal, entries);
  const entryBytes = JSON.stringify(journal.entry(entrySeq(Math.floor(entries / 2)))).length;
  print(
    `applied ${thousands(entries)} entries of ${String(entryBytes)} bytes: ${thousands(rates.perSecond)} a second (${thousands(rates.perCpuSecond)} by CPU time, ${thousands(rates.perSecondInMedianBatch)} in the median batch)`,
  );
  const full = collect();
  const memory = {
    rss_mb: megabytes(full.rss),
    heap_mb: megabytes(full.heapUsed - empty.heapUsed),
    buffers_mb: megabytes(full.arrayBuffers - empty.arrayBuffers),
  };
  print(
    `memory: ${String(memory.heap_mb)} MB of objects, ${String(memory.buffers_mb)} MB of buffers, ${String(memory.rss_mb)} MB resident`,
  );
  const deltas = spread(sampleUs(200_000, (index) => journal.nodeDelta(nodeId(scatter(index)))));
  print(`node delta: p50 ${String(deltas.p50)} us, p99 ${String(deltas.p99)} us`);
  const global = globalCommit(journal);
  print(
    `global commit: ${String(global.applyMs)} ms, then all overlay inputs in ${String(global.inputsMs)} ms`,
  );
  const past = spread(
    sampleUs(200, (index) =>
      journal.effectiveConfigAt({ VCluster: vclusterId(scatter(index)) }, entrySeq(scatter(index) % entries)),
    ),
  );
  print(`configuration as of a sequence: p50 ${String(past.p50)} us, p99 ${String(past.p99)} us`);
  const snapshot = snapshotAndRestore(journal);
  print(
    `snapshot: captured in ${String(snapshot.captureMs)} ms, restored in ${String(snapshot.restoreS)} s (${String(snapshot.restoreCpuS)} s of CPU time)`,
  );
  const bytesRate = bytesPerSecond(journal);
  print(`from bytes: ${thousands(bytesRate)} a second`);
  const ours = {
    entries,
    entry_bytes: entryBytes,
    apply_per_s: Math.round(rates.perSecond),
    apply_per_cpu_s: Math.round(rates.perCpuSecond),
    apply_per_s_in_median_batch: Math.round(rates.perSecondInMedianBatch),
    apply_bytes_per_s: Math.round(bytesRate),
    slowest_batch_of_256_ms: round(rates.slowestBatchMs),
    memory,
    node_delta_us: deltas,
    global_commit: global,
    config_as_of_us: past,
    snapshot_capture_ms: snapshot.captureMs,
    snapshot_mb: megabytes(snapshot.sizeBytes),
    restore_s: snapshot.restoreS,
    restore_cpu_s: snapshot.restoreCpuS,
  };
  return Promise.resolve({ ours, peer: null, ratios: {} });
}
