/** What a server is made of, once it takes part in its group: who is told of what, and who asks whom. */
import { status } from '@grpc/grpc-js';
import { BootServer, type FrontCallEnd } from '@pact-journal/boot-stream';
import { encodeCommand, msToTimestamp } from '@pact-journal/journal-state';
import type { ServerConfig } from '../config/index.ts';
import { Access, type Security } from '../auth/index.ts';
import type { Alarms } from './alarms.ts';
import { endingCertificates, scarceDisk, staleEmergencies } from './conditions.ts';
import { DiskUsage } from './disk-usage.ts';
import { LeaderDuties } from './duties.ts';
import { endpointRoutes } from './endpoints.ts';
import { Expirer } from './expirer.ts';
import { LeaderForwarder } from './forwarder.ts';
import { createGrpcServer, type GrpcServer } from './grpc-server.ts';
import type { HttpRoute } from './http.ts';
import type { JournalMachine } from './journal-machine.ts';
import type { Logger } from './log.ts';
import { readdress } from './members.ts';
import { ServerMetrics } from './metrics.ts';
import { createOverlays, type Overlays } from './overlays.ts';
import { clientAddress } from './raft-facts.ts';
import type { RaftGroup } from './raft-group.ts';
import { ReplicaSource } from './replica-source.ts';
import { RpcHost } from './rpc.ts';
import type { ClusterControl } from './services/cluster-service.ts';
import { JournalWriter } from './writer.ts';

export interface PartsOptions {
  readonly config: ServerConfig;
  readonly version: string;
  readonly log: Logger;
  readonly alarms: Alarms;
  readonly machine: JournalMachine;
  readonly group: RaftGroup;
  readonly security: Security;
  /** Of performance.now. */
  readonly startedMs: number;
  readonly stopping: () => boolean;
  /** What stopped consensus or storage for good; undefined while they work. */
  readonly fatal: () => string | undefined;
}

export interface Parts {
  readonly group: RaftGroup;
  readonly metrics: ServerMetrics;
  readonly overlays: Overlays;
  readonly duties: LeaderDuties;
  readonly forwarder: LeaderForwarder;
  readonly grpc: GrpcServer;
  readonly routes: ReadonlyMap<string, HttpRoute>;
}

const now = (): string => msToTimestamp(Date.now());

/** Nothing listens yet when this returns; the leader's duties begin as soon as this node leads. */
export function createParts(options: PartsOptions): Parts {
  const { config, log, machine, group, version, security } = options;
  const { node } = group;
  const journal = (): JournalMachine['state'] => machine.state;
  const writer = new JournalWriter(node, encodeCommand, now);
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
  const bootServer = new BootServer({
    source: new ReplicaSource(machine, overlays.manager),
    limits: { bootStreamsMax: maxConcurrentBootStreams, subscribersMax: maxSubscribers },
  });
  const disk = new DiskUsage(config.node.dataDir);
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
    disk: () => disk.facts(),
    version,
  });
  const access = new Access({ enforced: security.enforced, view: journal, onRefusal: security.refused });
  const duties = createDuties(options, overlays, writer);
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
  const observer = metrics.call.bind(metrics);
  const rpc = new RpcHost({ log, forwarder, observer, access, requestSizeBytesMax: maxMessageSize });
  const grpc = createGrpcServer({
    context: { log, rpc, access, writer, journal, overlays: overlays.manager },
    control: createControl(options, forwarder, disk),
    append: { forwarder, whoLeads: () => group.whoLeads(), observer },
    bootServer,
    limits: config.limits,
    security,
    onBootEnd: (end) => {
      bootEnded(metrics, end);
    },
  });
  const routes = endpointRoutes({
    facts: () => group.facts(),
    config,
    version,
    stopping: options.stopping,
    fatal: options.fatal,
    metrics: () => metrics.render(),
  });
  return { group, metrics, overlays, duties, forwarder, grpc, routes };
}

function createDuties(
  { log, machine, group }: PartsOptions,
  { rebuilder }: Overlays,
  writer: JournalWriter,
): LeaderDuties {
  const { node } = group;
  const duties = new LeaderDuties({
    rebuilder,
    expirer: new Expirer({ journal: () => machine.state, writer, log, now }),
    persistAddresses: () => group.persistAddresses(),
    caughtUp: () => node.linearizableRead(),
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
  { group, machine, alarms, config, version, startedMs, security }: PartsOptions,
  forwarder: LeaderForwarder,
  disk: DiskUsage,
): ClusterControl {
  return {
    facts: () => group.facts(),
    alarms: () => [
      ...alarms.list(),
      ...staleEmergencies(machine.state.emergencies(now())),
      ...scarceDisk(disk.last),
      ...endingCertificates(security.certificates(), Date.now()),
    ],
    disk: () => disk.facts(),
    certificates: () => security.certificates(),
    addLearner: (member, promote) => group.addLearner(member, promote),
    promote: (id) => group.promote(id),
    remove: (id) => group.remove(id),
    replace: (oldId, newId) => group.replace(oldId, newId),
    transferLeadership: (to) => group.transferLeadership(to),
    snapshot: () => group.snapshot(),
    whoLeads: () => group.whoLeads(),
    forwarder,
    version,
    startedMs,
    insecure: config.node.insecure,
  };
}

function bootEnded(metrics: ServerMetrics, { method, statusCode, durationMs }: FrontCallEnd): void {
  if (method === 'StreamBootConfig') metrics.boot(status[statusCode] ?? String(statusCode), durationMs);
  metrics.call(`/pact.stream.BootConfigService/${method}`, statusCode, durationMs);
}
