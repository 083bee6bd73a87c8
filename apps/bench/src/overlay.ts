/**
 * `overlay`: how soon after a commit its overlay is stored, and what a global commit, which makes every overlay stale,
 * does to commits meanwhile. In a journal of 1,000,000 entries with 100,000 nodes in 1,000 vClusters. The state is the
 * real one; storing is applying `SetOverlay` to it, without a network.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { JournalState, msToTimestamp, parseNewEntry, parseStateDelta } from '@pact-journal/journal-state';
import { nativeSha256 } from '@pact-journal/journal-state/node';
import type { JournalCommand, Scope } from '@pact-journal/journal-state';
import { OverlayManager, OverlayRebuilder, WorkerCompressor } from '@pact-journal/overlay-builder';
import type { OverlayEvent } from '@pact-journal/overlay-builder';
import { envelope, nodeId, NODES, vclusterId, VCLUSTERS } from './journal-load/commands.ts';
import { percentile, print, round, thousands } from './report.ts';
import type { BenchReport } from './report.ts';

const COMMIT_INTERVAL_MS = 5;

const state = new JournalState({ sha256: nativeSha256 });

function apply(command: JournalCommand): void {
  const { result } = state.apply({ time: msToTimestamp(Date.now()), command });
  if (result.type === 'ValidationError' && result.code !== 'overlayVersion') {
    throw new Error(`${command.type} was refused: ${result.reason}`);
  }
}

function commit(scope: Scope, keys: number, value: string): void {
  const files = Array.from({ length: keys }, (_, index) => ({
    action: 'Add',
    key: `/etc/cluster.d/part-${String(index).padStart(4, '0')}.conf`,
    value: `sha256:${createHash('sha256').update(`${value} ${index}`).digest('hex')}`,
    spec: { mode: 0o644, owner: 'root:root' },
  }));
  const entry = parseNewEntry({
    entry_type: 'Commit',
    scope,
    author: { principal: 'bench', principal_type: 'Service', role: 'pact-platform-admin' },
    parent: null,
    state_delta: parseStateDelta({ files }),
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
  });
  apply({ type: 'AppendEntry', entry });
}

/** Fills the journal with nodes and the entries of a long life. */
function age(entries: number): void {
  const time = msToTimestamp(Date.now());
  for (let index = 0; index < NODES; index += 1) {
    apply({ type: 'AssignNode', node_id: nodeId(index), vcluster_id: vclusterId(index) });
  }
  for (let index = state.entryCount; index < entries; index += 1) {
    const { command } = envelope(index, 'x'.repeat(120));
    state.apply({ command, time });
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      entries: { type: 'string', default: '1000000' },
      keys: { type: 'string', default: '300' },
      commits: { type: 'string', default: '400' },
    },
  });
  const names = Array.from({ length: VCLUSTERS }, (_, index) => vclusterId(index));
  const anyName = (index: number): string => vclusterId(index % VCLUSTERS);
  age(Number(values.entries));
  print(`${thousands(state.entryCount)} entries, ${thousands(state.nodeCount)} nodes`);
  commit('Global', Number(values.keys), 'global');
  for (const name of names) commit({ VCluster: name }, 50, name);

  let builds = 0;
  let buildMs = 0;
  let sizeBytes = 0;
  const observer = (event: OverlayEvent): void => {
    if (event.type !== 'built') return;
    builds += 1;
    buildMs += event.duration_ms;
    sizeBytes += event.size_bytes;
  };
  const compressor = new WorkerCompressor();
  const manager = new OverlayManager({
    view: () => state,
    compressor,
    observer,
    store: async (overlay) => {
      await pause(1); // a round of consensus
      apply({
        type: 'SetOverlay',
        overlay: { ...overlay, data: Buffer.from(overlay.data).toString('base64') },
      });
    },
  });
  const rebuilder = new OverlayRebuilder({ manager, view: () => state });

  /** How long past its time a commit is taken, until `isOver`. */
  const commitWaits = async (isOver: (done: number) => boolean): Promise<number[]> => {
    const waitsMs: number[] = [];
    while (!isOver(waitsMs.length)) {
      const dueMs = performance.now() + COMMIT_INTERVAL_MS;
      await pause(COMMIT_INTERVAL_MS);
      const name = anyName(waitsMs.length);
      commit({ VCluster: name }, 1, `change ${waitsMs.length}`);
      waitsMs.push(performance.now() - dueMs);
      rebuilder.notify({ VCluster: name });
    }
    return waitsMs;
  };

  try {
    const startedMs = performance.now();
    rebuilder.start();
    await rebuilder.whenIdle();
    const firstSweepMs = performance.now() - startedMs;
    print(
      `${names.length} overlays of ${Math.round(sizeBytes / builds / 1024)} KiB built and stored in ${round(firstSweepMs / 1000)} s`,
    );

    const storedMs: number[] = [];
    for (let count = 0; count < Number(values.commits); count += 1) {
      const name = anyName(count * 7);
      const committedMs = performance.now();
      commit({ VCluster: name }, 1, `commit ${count}`);
      rebuilder.notify({ VCluster: name });
      await rebuilder.whenIdle();
      storedMs.push(performance.now() - committedMs);
    }
    const calm = await commitWaits((done) => done >= Number(values.commits));
    await rebuilder.whenIdle();

    commit('Global', 1, 'everywhere');
    const everywhere = state.entryCount - 1;
    const globalStartedMs = performance.now();
    rebuilder.notify('Global');
    const isRebuilt = (): boolean =>
      names.every((name) => (state.overlay(name)?.version ?? -1) >= everywhere);
    const disturbed = await commitWaits((done) => done % 10 === 9 && isRebuilt());
    const globalMs = performance.now() - globalStartedMs;
    await rebuilder.whenIdle();
    const calmP99Ms = percentile(calm, 0.99);
    const disturbedP99Ms = percentile(disturbed, 0.99);
    const ours = {
      entries: state.entryCount,
      nodes: state.nodeCount,
      overlays: names.length,
      overlay_kib: round(sizeBytes / builds / 1024),
      build_ms: round(buildMs / builds),
      stored_p50_ms: round(percentile(storedMs, 0.5)),
      stored_p99_ms: round(percentile(storedMs, 0.99)),
      global_rebuild_s: round(globalMs / 1000),
      commit_p99_ms_calm: round(calmP99Ms),
      commit_p99_ms_during_global: round(disturbedP99Ms),
      commit_max_ms_during_global: round(Math.max(...disturbed)),
      commit_wait_ratio: round(disturbedP99Ms / calmP99Ms),
      stale_in_the_end: manager.stats().stale,
    };
    print(
      `a commit's overlay is stored after ${ours.stored_p50_ms} ms (median), ${ours.stored_p99_ms} ms (p99)`,
    );
    print(
      `a global commit rebuilds all in ${ours.global_rebuild_s} s; commits meanwhile take ${ours.commit_p99_ms_during_global} ms (p99), ${ours.commit_p99_ms_calm} ms without: ${ours.commit_wait_ratio} times as long`,
    );
    return { ours, peer: null, ratios: {} };
  } finally {
    rebuilder.stop();
    await compressor.close();
  }
}
