/** The clients' port: boots on the fast path, every other service on grpc-js, health and reflection. */
import { Server } from '@grpc/grpc-js';
import {
  BootFront,
  bootServiceDefinition,
  bootServiceHandlers,
  type BootServer,
  type FrontCallEnd,
} from '@pact-journal/boot-stream';
import { journal, policy } from '@pact-journal/journal-proto';
import { addHealthAndReflection, type HealthSwitch } from './health.ts';
import { AppendService, type AppendServiceOptions } from './services/append-service.ts';
import { auditService } from './services/audit-service.ts';
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
  readonly bootServer: BootServer;
  readonly maxMessageSize: number;
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
  'pact.journal.OverlayService',
  'pact.journal.JournalQueryService',
  'pact.policy.PolicyService',
  'pact.stream.BootConfigService',
] as const;

export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { context, control, bootServer } = options;
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageSize,
    'grpc.max_send_message_length': -1,
  });
  const appends = new AppendService(context, options.append);
  server.addService(journal.ConfigServiceDefinition, configService(context));
  server.addService(journal.JournalAppendServiceDefinition, appends.handlers);
  server.addService(journal.NodeServiceDefinition, nodeService(context));
  server.addService(journal.AuditServiceDefinition, auditService(context));
  server.addService(journal.ClusterServiceDefinition, clusterService(context, control));
  server.addService(journal.OverlayServiceDefinition, overlayService(context));
  server.addService(journal.JournalQueryServiceDefinition, queryService(context));
  server.addService(policy.PolicyServiceDefinition, policyService(context));
  server.addService(bootServiceDefinition, bootServiceHandlers(bootServer));
  const health = addHealthAndReflection(server, SERVICES);
  const front = new BootFront({
    bootServer,
    unaryMethods: context.rpc.frontMethods,
    grpcServer: server,
    onCallEnd: options.onBootEnd,
  });
  return { front, health, drain: () => appends.drain() };
}
