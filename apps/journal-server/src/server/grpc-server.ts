/** The clients' port: boots on the fast path, every other service on grpc-js, health and reflection. */
import { Server } from '@grpc/grpc-js';
import { BootFront, type AddressLimits, type BootServer, type FrontCallEnd } from '@pact-journal/boot-stream';
import type { Security } from '../auth/index.ts';
import type { ServerConfig } from '../config/index.ts';
import { journal, policy } from '@pact-journal/journal-proto';
import { addHealthAndReflection, type HealthSwitch } from './health.ts';
import { AppendService, type AppendServiceOptions } from './services/append-service.ts';
import type { Safekeeping } from './safekeeping/safekeeping.ts';
import { auditService } from './services/audit-service.ts';
import { backupService } from './services/backup-service.ts';
import { clusterService, type ClusterControl } from './services/cluster-service.ts';
import { configService } from './services/config-service.ts';
import type { ServiceContext } from './services/context.ts';
import { nodeService } from './services/node-service.ts';
import { overlayService } from './services/overlay-service.ts';
import { policyService } from './services/policy-service.ts';
import { queryService } from './services/query-service.ts';

export interface GrpcServerOptions {
  readonly context: ServiceContext;
  readonly control: ClusterControl;
  readonly append: AppendServiceOptions;
  readonly safekeeping: Safekeeping;
  readonly bootServer: BootServer;
  readonly limits: ServerConfig['limits'];
  readonly security: Pick<Security, 'frontTls' | 'admit' | 'renews' | 'handshakeFailed' | 'flooded'>;
  readonly onBootEnd: (end: FrontCallEnd) => void;
}

export interface GrpcServer {
  readonly front: BootFront;
  readonly health: HealthSwitch;
  /** Lets append streams finish what is in flight and ends them. */
  drain(): Promise<void>;
}

const SERVICES = [
  'pact.journal.ConfigService',
  'pact.journal.JournalAppendService',
  'pact.journal.NodeService',
  'pact.journal.AuditService',
  'pact.journal.ClusterService',
  'pact.journal.BackupService',
  'pact.journal.OverlayService',
  'pact.journal.JournalQueryService',
  'pact.policy.PolicyService',
  'pact.stream.BootConfigService',
] as const;

export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { context, control, bootServer, limits, security, safekeeping } = options;
  const { access } = context;
  const [tls, admit] = [security.frontTls(), security.admit()];
  const server = new Server({
    'grpc.max_receive_message_length': options.limits.maxMessageSize,
    'grpc.max_send_message_length': -1,
  });
  const appends = new AppendService(context, options.append);
  server.addService(journal.ConfigServiceDefinition, configService(context));
  server.addService(journal.JournalAppendServiceDefinition, appends.handlers);
  server.addService(journal.NodeServiceDefinition, nodeService(context));
  server.addService(journal.AuditServiceDefinition, auditService(context));
  server.addService(journal.ClusterServiceDefinition, clusterService(context, control));
  server.addService(
    journal.BackupServiceDefinition,
    backupService(
      context,
      control.facts().nodeId,
      safekeeping.backup,
      () => safekeeping.refusal,
      () => control.whoLeads(),
    ),
  );
  server.addService(journal.OverlayServiceDefinition, overlayService(context));
  server.addService(journal.JournalQueryServiceDefinition, queryService(context));
  server.addService(policy.PolicyServiceDefinition, policyService(context));
  const health = addHealthAndReflection(server, SERVICES);
  const front = new BootFront({
    bootServer,
    unaryMethods: context.rpc.frontMethods,
    duplexMethods: appends.frontMethods,
    grpcServer: server,
    ...(tls === undefined ? {} : { tls }),
    // Where nobody is authenticated, everybody on this machine is trusted with it.
    ...(admit === undefined ? {} : { admit, perAddress: addressLimits(limits) }),
    authorize: ({ method, nodeId, vclusterId, metadata }) => {
      const caller = access.callerOf((name) => metadata[name]);
      access.authorizeBoot(caller, method, { nodeId, vclusterId });
    },
    onCallEnd: options.onBootEnd,
    onHandshakeFailure: security.handshakeFailed,
    onFlood: security.flooded,
    connectionsMax: limits.maxConnections,
    streamsPerConnectionMax: limits.maxStreamsPerConnection,
    sessionMemoryBytesMax: limits.maxSessionMemory,
    headerSizeBytesMax: limits.maxHeaderSize,
    handshakeTimeoutMs: limits.handshakeTimeout,
    stallTimeoutMs: limits.stallTimeout,
    idleTimeoutMs: limits.idleTimeout,
  });
  security.renews(front);
  return { front, health, drain: () => appends.drain() };
}

/** Seconds of the long-run rate that may be used up at once. */
const BURST_S = 16;

function addressLimits({
  maxConnectionsPerAddress,
  connectionRatePerAddress,
  floodPenalty,
}: ServerConfig['limits']): AddressLimits {
  return {
    connectionsMax: maxConnectionsPerAddress,
    connectionsPerSecond: connectionRatePerAddress,
    connectionsBurst: BURST_S * connectionRatePerAddress,
    penaltyMs: floodPenalty,
  };
}
