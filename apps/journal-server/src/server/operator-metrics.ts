/** What an on-call person asks beyond how many and how fast: who lags, what fills up, what waits, what is wrong. */
import { Gauge, type Registry } from 'prom-client';
import { counted, watched } from './metric-kinds.ts';
import type { MetricSources } from './metric-sources.ts';

export function registerOperatorMetrics(registry: Registry, sources: MetricSources): void {
  registerFollowers(registry, sources);
  registerPending(registry, sources);
  registerLag(registry, sources);
  const raised: Gauge<'code'> = new Gauge({
    name: 'pact_alarms_raised',
    help: 'Alarms that this node has raised and an operator has to look at, by what they are about.',
    labelNames: ['code'],
    registers: [registry],
    collect: () => {
      raised.reset();
      for (const { code } of sources.alarms()) raised.inc({ code });
    },
  });
}

/** Only the leader knows how far the others are; on others these have no values. */
function registerFollowers(registry: Registry, { facts }: MetricSources): void {
  const lag: Gauge<'follower'> = new Gauge({
    name: 'pact_raft_replication_lag',
    help: 'Log entries that are not known to be durable on a follower. No value for one that this leader has never reached.',
    labelNames: ['follower'],
    registers: [registry],
    collect: () => {
      const { members, nodeId, lastIndex } = facts();
      lag.reset();
      for (const { id, matchIndex, active } of members) {
        // A new leader begins with 0 for everybody, which says nothing about one that has never answered it.
        if (id === nodeId || matchIndex === undefined || (matchIndex === 0 && active !== true)) continue;
        lag.set({ follower: String(id) }, Math.max(0, lastIndex - matchIndex));
      }
    },
  });
  const seconds: Gauge<'follower'> = new Gauge({
    name: 'pact_raft_replication_lag_seconds',
    help: 'Age of the oldest committed log entry that is not known to be durable on a follower; 0 where none is.',
    labelNames: ['follower'],
    registers: [registry],
    collect: () => {
      const { members, nodeId } = facts();
      seconds.reset();
      for (const { id, lagMs } of members) {
        if (id !== nodeId && lagMs !== undefined) seconds.set({ follower: String(id) }, lagMs / 1_000);
      }
    },
  });
  const active: Gauge<'follower'> = new Gauge({
    name: 'pact_raft_follower_active',
    help: '1 for a follower that the leader has heard from within an election timeout, 0 for another.',
    labelNames: ['follower'],
    registers: [registry],
    collect: () => {
      const { members, nodeId } = facts();
      active.reset();
      for (const member of members) {
        if (member.id === nodeId || member.active === undefined) continue;
        active.set({ follower: String(member.id) }, member.active ? 1 : 0);
      }
    },
  });
}

function registerPending(registry: Registry, { raft, boots, pendingSizeBytesMax }: MetricSources): void {
  watched(
    registry,
    'pact_raft_pending_proposals',
    'Proposals of this node without an outcome yet.',
    () => raft().pendingProposals,
  );
  watched(
    registry,
    'pact_raft_pending_reads',
    'Linearizable reads that wait for a quorum.',
    () => raft().pendingReads,
  );
  watched(
    registry,
    'pact_raft_pending_proposals_limit_bytes',
    'Above this many bytes in the queue of proposals, writes are refused as overload.',
    () => pendingSizeBytesMax,
  );
  watched(registry, 'pact_raft_receiving_snapshot', "1 while a leader's snapshot is being loaded.", () =>
    Number(raft().receivingSnapshot),
  );
  watched(
    registry,
    'pact_raft_membership_change_pending',
    '1 while a change of the membership is under way.',
    () => Number(raft().membershipChangePending),
  );
  counted(
    registry,
    'pact_journal_subscription_updates_total',
    'Updates sent to live subscriptions.',
    [],
    (counter) => {
      counter.inc(boots().updatesSent);
    },
  );
}

function registerLag(registry: Registry, { loki }: MetricSources): void {
  watched(
    registry,
    'pact_loki_lag_entries',
    'Journal entries that Loki does not have yet; 0 where no Loki is configured.',
    () => loki()?.entries ?? 0,
  );
  watched(
    registry,
    'pact_loki_lag_seconds',
    'Age of the oldest journal entry that Loki does not have yet; 0 where it has all.',
    () => loki()?.seconds ?? 0,
  );
}
