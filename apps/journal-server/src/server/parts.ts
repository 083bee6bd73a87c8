/** What a server is made of, once it takes part in its group: who is told of what, and who asks whom. */
import { status } from '@grpc/grpc-js';
import { BootServer, type FrontCallEnd } from '@pact-journal/boot-stream';
import { encodeCommand, timestampToMs } from '@pact-journal/journal-state';
import type { Timestamp } from '@pact-journal/journal-state';
import type { ServerConfig } from '../config/index.ts';
import { Access, type Security } from '../auth/index.ts';
import type { LokiShipper } from '../loki/index.ts';
import type { Alarm, Alarms } from './alarms.ts';
import type { Checkpoints } from './checkpoints.ts';
import { DiskWatch, endingCertificates, staleEmergencies } from './conditions.ts';
import { DiskUsage } from './disk-usage.ts';
import type { CertificateFacts } from './facts.ts';
import { LeaderDuties } from './duties.ts';
import { endpointRoutes } from './endpoints.ts';
import { Expirer } from './expirer.ts';
import { LeaderForwarder } from './forwarder.ts';
import { createGrpcServer, type GrpcServer } from './grpc-server.ts';
import type { HttpRoute } from './http.ts';
import type { JournalClock } from './journal-clock.ts';
import type { JournalMachine } from './journal-machine.ts';
import type { Logger } from './log.ts';
import { readdress } from './members.ts';
import { createLoki } from './loki-duty.ts';
import { ServerMetrics } from './metrics.ts';
import { createOverlays, type Overlays } from './overlays.ts';
import { clientAddress } from './raft-facts.ts';
import type { RaftGroup } from './raft-group.ts';
import { readiness } from './readiness.ts';
import { ReplicaSource } from './replica-source.ts';
import { RpcHost } from './rpc.ts';
import { registerSafekeeping } from './safekeeping/metrics.ts';
import { Safekeeping } from './safekeeping/safekeeping.ts';
import type { ClusterControl } from './services/cluster-service.ts';
import type { Tracing } from './tracing.ts';
import { JournalWriter } from './writer.ts';

export interface PartsOptions {
  readonly config: ServerConfig;
  readonly version: string;
  readonly log: Logger;
  readonly alarms: Alarms;
  readonly clock: JournalClock;
  readonly machine: JournalMachine;
  readonly checkpoints: Checkpoints;
  readonly group: RaftGroup;
  /** Undefined where no traces are wanted. */
  readonly tracing: Tracing | undefined;
  readonly security: Security;
  /** Of performance.now. */
  readonly startedMs: number;
  /** Has the server stop, do this, and start again. */
  readonly restart: (between: () => Promise<void>) => void;
  readonly stopping: () => boolean;
  /** What stopped consensus or storage for good; undefined while they work. */
  readonly fatal: () => string | undefined;
}

export interface Parts {
  readonly group: RaftGroup;
  readonly metrics: ServerMetrics;
  readonly overlays: Overlays;
  readonly bootServer: BootServer;
  readonly duties: LeaderDuties;
  readonly forwarder: LeaderForwarder;
  readonly safekeeping: Safekeeping;
  readonly grpc: GrpcServer;
  readonly routes: ReadonlyMap<string, HttpRoute>;
}

/** Nothing listens yet when this returns; the leader's duties begin as soon as this node leads. */
export function createParts(options: PartsOptions): Parts {
  const { tracing, config, log, machine, group, version, clock, security } = options;
  const { node } = group;
  const now = (): Timestamp => clock.timestamp();
  const journal = (): JournalMachine['state'] => machine.state;
  const writer = new JournalWriter(
    {
      propose: (data) => {
        const outcome = node.propose(data);
        outcome.catch((error: unknown) => {
          metrics.proposalFailed(error);
        });
        return outcome;
      },
    },
    encodeCommand,
    now,
    { log, tracing },
  );
  const overlays: Overlays = createOverlays({
    machine,
    writer,
    leads: () => group.whoLeads() === undefined,
    rebuildDelayMs: config.overlay.rebuildDelay,
    observer: (event) => {
      metrics.overlay(event);
    },
  });
  const { maxConcurrentBootStreams, maxSubscribers, maxMessageSize } = config.limits;
  const source = new ReplicaSource(machine, overlays.manager, () => safekeeping.refusal);
  const bootServer = new BootServer({
    source,
    limits: { bootStreamsMax: maxConcurrentBootStreams, subscribersMax: maxSubscribers },
  });
  const disk: WatchedDisk = { usage: new DiskUsage(config.node.dataDir), watch: new DiskWatch() };
  const metrics = new ServerMetrics({
    facts: () => group.facts(),
    raft: () => node.status(),
    journal,
    overlays: () => overlays.manager.stats(),
    boots: () => bootServer.stats(),
    staleEmergencies: () =>
      journal()
        .emergencies(now())
        .filter(({ stale }) => stale).length,
    callerRefusals: () => group.callerRefusals,
    authFailures: () => security.refusalCounts,
    disk: () => disk.usage.facts(),
    loki: () => loki?.lag(clock.now()),
    alarms: () => alarmsOf(options, disk, security.certificates()),
    pendingSizeBytesMax: config.raft.maxPendingSize,
    version,
  });
  const access = new Access({ enforced: security.enforced, view: journal, onRefusal: security.refused });
  machine.onChanges((changes) => {
    metrics.changed(changes);
  });
  const loki = createLoki(options, { source, writer, observer: metrics.loki });
  const readdressed = readdress(config);
  const forwarder = new LeaderForwarder({
    nodeId: config.node.id,
    maxMessageSize,
    clientAddress: (member) => clientAddress(readdressed(member)),
    channel: (memberId) => security.memberChannel(memberId),
    callerOf: (header) => access.callerOf(header),
  });
  security.onRenewal(() => {
    forwarder.renew();
  });
  const safekeeping = new Safekeeping({ ...options, forwarder });
  metrics.add((registry) => {
    registerSafekeeping(registry, safekeeping.backup, safekeeping.check);
  });
  const duties = createDuties(options, overlays, writer, loki, now, () => safekeeping.refusal);
  const observer = metrics.call.bind(metrics);
  const rpc = new RpcHost({ log, forwarder, observer, access, tracing, requestSizeBytesMax: maxMessageSize });
  const grpc = createGrpcServer({
    context: { log, rpc, access, writer, journal, overlays: overlays.manager, now },
    control: createControl(options, forwarder, safekeeping, disk),
    safekeeping,
    append: { forwarder, whoLeads: () => group.whoLeads(), observer, messageSizeBytesMax: maxMessageSize },
    bootServer,
    limits: config.limits,
    security,
    onBootEnd: (end) => {
      bootEnded(metrics, tracing, end);
    },
  });
  const routes = endpointRoutes({
    facts: () => group.facts(),
    config,
    version,
    fatal: options.fatal,
    unreadiness: readiness({
      facts: () => group.facts(),
      stopping: options.stopping,
      fatal: options.fatal,
      refusal: () => safekeeping.refusal,
      caughtUp: () => node.linearizableRead(),
      timeoutMs: config.limits.readyTimeout,
    }),
    metrics: () => metrics.render(),
  });
  return { group, metrics, overlays, bootServer, duties, forwarder, safekeeping, grpc, routes };
}

function createDuties(
  { log, machine, group, clock }: PartsOptions,
  { rebuilder }: Overlays,
  writer: JournalWriter,
  loki: LokiShipper | undefined,
  now: () => string,
  refusal: () => string | undefined,
): LeaderDuties {
  const { node } = group;
  const duties = new LeaderDuties({
    rebuilder,
    expirer: new Expirer({ journal: () => machine.state, writer, log, now }),
    refusal,
    ...(loki === undefined ? {} : { loki }),
    persistAddresses: () => group.persistAddresses(),
    caughtUp: async () => {
      await node.linearizableRead();
      clock.continueFrom(timestampToMs(machine.state.clock) ?? 0);
    },
    log,
  });
  machine.onChanges((changes) => {
    duties.changed(changes);
  });
  node.on('roleChange', ({ role }) => {
    if (role === 'leader') duties.begin();
    else duties.end();
  });
  if (node.status().role === 'leader') duties.begin();
  return duties;
}

function createControl(
  { group, machine, alarms, clock, config, version, startedMs, security }: PartsOptions,
  forwarder: LeaderForwarder,
  safekeeping: Safekeeping,
  disk: WatchedDisk,
): ClusterControl {
  return {
    facts: () => group.facts(),
    alarms: () => alarmsOf({ alarms, machine, clock }, disk, security.certificates()),
    disk: () => disk.usage.facts(),
    certificates: () => security.certificates(),
    addLearner: (member, promote) => group.changes.addLearner(member, promote),
    promote: (id) => group.changes.promote(id),
    remove: (id) => group.changes.remove(id),
    replace: (oldId, newId) => group.changes.replace(oldId, newId),
    transferLeadership: (to) => group.transferLeadership(to),
    snapshot: () => group.snapshot(),
    digestMarks: (after) => safekeeping.checkpoints.marksAfter(after),
    rebuild: async () => {
      const { stored, fetchedBytes } = await safekeeping.rebuild();
      return { index: stored.meta.index, fetchedBytes };
    },
    whoLeads: () => group.whoLeads(),
    forwarder,
    version,
    startedMs,
    insecure: config.node.insecure,
  };
}

interface WatchedDisk {
  readonly usage: DiskUsage;
  readonly watch: DiskWatch;
}

function alarmsOf(
  { alarms, machine, clock }: Pick<PartsOptions, 'alarms' | 'machine' | 'clock'>,
  { usage, watch }: WatchedDisk,
  certificates: readonly CertificateFacts[],
): readonly Alarm[] {
  return [
    ...alarms.list(),
    ...staleEmergencies(machine.state.emergencies(clock.timestamp())),
    ...watch.alarms(usage.last, Date.now()),
    ...endingCertificates(certificates, Date.now()),
  ];
}

function bootEnded(
  metrics: ServerMetrics,
  tracing: Tracing | undefined,
  { method, statusCode, durationMs }: FrontCallEnd,
): void {
  if (method === 'StreamBootConfig') {
    const code = status[statusCode] ?? String(statusCode);
    metrics.boot(code, durationMs);
    tracing?.ended('boot', durationMs, undefined, { code });
  }
  metrics.call(`/pact.stream.BootConfigService/${method}`, statusCode, durationMs);
}
