/** A journal server: one replica with everything around it, from start to stop. */
import type { Server as HttpServer } from 'node:http';
import { status } from '@grpc/grpc-js';
import { BootServer, type FrontCallEnd } from '@pact-journal/boot-stream';
import { encodeCommand, msToTimestamp } from '@pact-journal/journal-state';
import { formatAddress, type ServerConfig } from '../config/index.ts';
import type { DevNodeLine } from '../dev/cluster.ts';
import { Alarms } from './alarms.ts';
import { LeaderDuties } from './duties.ts';
import { endpointRoutes } from './endpoints.ts';
import type { ServerError } from './errors.ts';
import { Expirer } from './expirer.ts';
import type { ClusterFacts } from './facts.ts';
import { LeaderForwarder } from './forwarder.ts';
import { createGrpcServer, type GrpcServer } from './grpc-server.ts';
import { closeHttp, listenHttp } from './http.ts';
import { JournalMachine } from './journal-machine.ts';
import { checkListeners, listenError, type Listener } from './listening.ts';
import type { Logger } from './log.ts';
import { readdress } from './members.ts';
import { ServerMetrics } from './metrics.ts';
import { createOverlays, type Overlays } from './overlays.ts';
import { clientAddress } from './raft-facts.ts';
import { RaftGroup } from './raft-group.ts';
import { ReplicaSource } from './replica-source.ts';
import { RpcHost } from './rpc.ts';
import { startError } from './start-errors.ts';
import { JournalWriter } from './writer.ts';

export interface ServerOptions {
  readonly log: Logger;
  /** Of this program, as status and metrics show it. */
  readonly version: string;
}

/** Why a server has ended by itself. */
export interface ServerFailure {
  readonly error: ServerError;
}

const now = (): string => msToTimestamp(Date.now());

/**
 * Starts a server. Resolves once it listens and takes part in its group, before a leader is known. Fails with
 * {@link ServerError}; then nothing is left open.
 */
export async function startServer(config: ServerConfig, options: ServerOptions): Promise<RunningServer> {
  await checkListeners(Object.values(listenersOf(config)));
  const server = new RunningServer(config, options);
  try {
    await server.open();
    return server;
  } catch (error) {
    await server.stop();
    throw startError(error);
  }
}

function listenersOf({ listen }: ServerConfig): Readonly<Record<'grpc' | 'raft' | 'metrics', Listener>> {
  return {
    grpc: { address: listen.grpc, purpose: 'gRPC', flag: '--listen-grpc' },
    raft: { address: listen.raft, purpose: 'Raft', flag: '--listen-raft' },
    metrics: { address: listen.metrics, purpose: 'metrics', flag: '--listen-metrics' },
  };
}

/** What exists once the server takes part in its group. */
interface Parts {
  readonly group: RaftGroup;
  readonly overlays: Overlays;
  readonly duties: LeaderDuties;
  readonly forwarder: LeaderForwarder;
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
}

export class RunningServer {
  readonly log: Logger;
  /** Resolves when consensus or storage has stopped for good. Never rejects. */
  readonly failed: Promise<ServerFailure>;
  readonly #config: ServerConfig;
  readonly #version: string;
  readonly #startedMs = performance.now();
  readonly #stopSignal = new AbortController();
  readonly #alarms = new Alarms();
  #parts: Partial<Parts> = {};
  #fail: (failure: ServerFailure) => void = () => undefined;
  #fatal: string | undefined;
  #stopped: Promise<void> | undefined;

  constructor(config: ServerConfig, options: ServerOptions) {
    this.#config = config;
    this.log = options.log;
    this.#version = options.version;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
  }

  /** To be called once, by {@link startServer}. */
  async open(): Promise<void> {
    const config = this.#config;
    const machine = new JournalMachine();
    const group = await RaftGroup.start({
      config,
      machine,
      log: this.log,
      version: this.#version,
      signal: this.#stopSignal.signal,
    });
    this.#parts = { group };
    const { node } = group;
    const facts = (): ClusterFacts => group.facts();
    const journal = (): JournalMachine['state'] => machine.state;
    const writer = new JournalWriter(node, encodeCommand, now);

    // Metrics are told of what the parts below do, and ask them at every scrape.
    const overlays: Overlays = createOverlays({
      machine,
      writer,
      leads: () => node.status().role === 'leader',
      rebuildDelayMs: config.overlay.rebuildDelay,
      observer: (event) => {
        metrics.overlay(event);
      },
    });
    const source = new ReplicaSource(machine, overlays.manager);
    const { maxConcurrentBootStreams, maxSubscribers, maxMessageSize } = config.limits;
    const bootServer = new BootServer({
      source,
      limits: { bootStreamsMax: maxConcurrentBootStreams, subscribersMax: maxSubscribers },
    });
    const metrics = new ServerMetrics({
      facts,
      journal,
      overlays: () => overlays.manager.stats(),
      boots: () => bootServer.stats(),
      staleEmergencies: () =>
        journal()
          .emergencies(now())
          .filter(({ stale }) => stale).length,
      version: this.#version,
    });
    this.#watchRaft(group, metrics);

    const expirer = new Expirer({ journal, writer, log: this.log, now });
    const duties = new LeaderDuties({
      rebuilder: overlays.rebuilder,
      expirer,
      persistAddresses: () => group.persistAddresses(),
      caughtUp: () => node.linearizableRead(),
      log: this.log,
    });
    machine.onChanges((changes) => {
      duties.changed(changes);
    });
    node.on('roleChange', ({ role }) => {
      if (role === 'leader') duties.begin();
      else duties.end();
    });
    if (node.status().role === 'leader') duties.begin();

    const readdressMember = readdress(config);
    const forwarder = new LeaderForwarder({
      nodeId: config.node.id,
      maxMessageSize,
      clientAddress: (member) => clientAddress(readdressMember(member)),
    });
    const observer = metrics.call.bind(metrics);
    const rpc = new RpcHost({ log: this.log, forwarder, observer });
    const grpc = createGrpcServer({
      context: { log: this.log, rpc, writer, journal, overlays: overlays.manager },
      control: {
        facts,
        alarms: () => this.#alarms.list(),
        addLearner: (member, promote) => group.addLearner(member, promote),
        promote: (id) => group.promote(id),
        remove: (id) => group.remove(id),
        replace: (oldId, newId) => group.replace(oldId, newId),
        transferLeadership: (to) => group.transferLeadership(to),
        snapshot: () => group.snapshot(),
        whoLeads: () => group.whoLeads(),
        forwarder,
        version: this.#version,
        startedMs: this.#startedMs,
        insecure: config.node.insecure,
      },
      append: { forwarder, whoLeads: () => group.whoLeads(), observer },
      bootServer,
      maxMessageSize,
      onBootEnd: (end) => {
        bootEnded(metrics, end);
      },
    });
    this.#parts = { group, overlays, duties, forwarder, grpc };
    const listeners = listenersOf(config);
    const routes = endpointRoutes({
      facts,
      config,
      version: this.#version,
      stopping: () => this.#stopped !== undefined,
      fatal: () => this.#fatal,
      metrics: () => metrics.render(),
    });
    const http = await listenHttp(config.listen.metrics, routes).catch(async (error: unknown) => {
      throw await listenError(listeners.metrics, error);
    });
    this.#parts = { ...this.#parts, http };
    await grpc.front
      .listen(config.listen.grpc.host, config.listen.grpc.port)
      .catch(async (error: unknown) => {
        throw await listenError(listeners.grpc, error);
      });
    grpc.health.setServing(true);
    await group.joinIfNew();
  }

  /** Resolves once the node can answer: a cluster of one voter has a leader then; a larger one may still lack others. */
  async ready(): Promise<DevNodeLine> {
    const { group } = this.#parts;
    if (group === undefined)
      throw new Error('assertion failed: a server is opened before it is asked whether it is ready');
    if (group.isSoleVoter()) {
      await new Promise<void>((resolve) => {
        const check = (): void => {
          if (group.facts().role === 'leader') resolve();
        };
        group.node.on('roleChange', check);
        check();
      });
      await group.node.linearizableRead().catch(() => undefined);
    }
    const { node, listen } = this.#config;
    const { role } = group.facts();
    return {
      id: node.id,
      role: role === 'candidate' ? 'follower' : role,
      grpc: formatAddress(listen.grpc),
      raft: formatAddress(listen.raft),
      metrics: formatAddress(listen.metrics),
      data_dir: node.dataDir,
      pid: process.pid,
    };
  }

  /**
   * Hands leadership over, lets calls under way finish within `limits.drain_timeout`, and closes everything.
   * Idempotent; never rejects.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopSignal.abort(new Error('the server is stopping'));
    const { group, overlays, duties, forwarder, grpc, http } = this.#parts;
    const { drainTimeout } = this.#config.limits;
    grpc?.health.setServing(false);
    duties?.end();
    // First the leadership, so that writers find another leader while their calls here are still answered.
    if (group?.facts().role === 'leader' && !group.isSoleVoter() && this.#fatal === undefined) {
      await group.transferLeadership(undefined).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        this.log.warn({ reason }, 'leadership could not be handed over before stopping');
      });
    }
    if (grpc !== undefined) {
      await Promise.race([grpc.drain(), new Promise((resolve) => setTimeout(resolve, drainTimeout).unref())]);
      await grpc.front.close(drainTimeout);
    }
    forwarder?.close();
    await overlays?.close();
    await group?.node.stop();
    if (http !== undefined) await closeHttp(http);
  }

  #watchRaft({ node }: RaftGroup, metrics: ServerMetrics): void {
    const { log } = this;
    node.on('leaderChange', ({ leaderId, leader, term }) => {
      metrics.leaderChanged();
      log.info(
        { leader_id: leaderId, address: leader?.address, term },
        leaderId === 0 ? 'no leader' : 'leader',
      );
    });
    node.on('roleChange', ({ role, previous, term }) => {
      if (role === 'candidate') metrics.stoodForElection();
      log.debug({ role, previous, term }, 'role changed');
    });
    node.on('membershipChange', ({ index, members }) => {
      log.info({ index, members: members.map(({ id, role }) => ({ id, role })) }, 'membership changed');
    });
    node.on('appendDurable', (event) => {
      metrics.appendDurable(event);
    });
    node.on('proposalApplied', (event) => {
      metrics.proposalApplied(event);
    });
    node.on('snapshotSaved', (event) => {
      metrics.snapshotSaved(event);
      log.info(
        { index: event.snapshot.meta.index, duration_ms: Math.round(event.durationMs) },
        'snapshot saved',
      );
    });
    node.on('snapshotInstalled', ({ snapshot }) => {
      log.info({ index: snapshot.meta.index }, "a peer's snapshot is installed");
    });
    node.on('diskStalled', ({ stalledMs, transferee }) => {
      log.warn({ stalled_ms: stalledMs, transferee }, 'the disk does not answer: leadership is handed over');
    });
    node.on('fatal', ({ error }) => {
      log.fatal({ err: error }, 'this node has stopped for good');
      this.#fatal = error.message;
      this.#fail({ error: startError(error) });
    });
  }
}

function bootEnded(metrics: ServerMetrics, { method, statusCode, durationMs }: FrontCallEnd): void {
  if (method === 'StreamBootConfig') metrics.boot(status[statusCode] ?? String(statusCode), durationMs);
  metrics.call(`/pact.stream.BootConfigService/${method}`, statusCode, durationMs);
}
