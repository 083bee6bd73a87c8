/** A journal server: one replica with everything around it, from start to stop. */
import type { RaftError } from '@pact-journal/raft-core';
import type { Server as HttpServer } from 'node:http';
import { formatAddress, type ServerConfig } from '../config/index.ts';
import { Security } from '../auth/index.ts';
import { Alarms } from './alarms.ts';
import { watchClock } from './clock-watch.ts';
import { localPaths } from './endpoints.ts';
import type { ServerError } from './errors.ts';
import { Checkpoints } from './checkpoints.ts';
import { closeHttp, listenHttp } from './http.ts';
import { JournalClock } from './journal-clock.ts';
import { JournalMachine } from './journal-machine.ts';
import { checkListeners, listenError, type Listener } from './listening.ts';
import type { Logger } from './log.ts';
import type { NodeLine } from './node-line.ts';
import { createParts, type Parts } from './parts.ts';
import { RaftGroup } from './raft-group.ts';
import { watchRaft } from './raft-watch.ts';
import { startError } from './start-errors.ts';
import { openTracing, type Tracing } from './tracing.ts';

export interface ServerOptions {
  readonly log: Logger;
  /** Of this program, as status and metrics show it. */
  readonly version: string;
  /** Gives up starting, for example while no member of the cluster that is to be joined answers. */
  readonly signal: AbortSignal;
}

/** Why a server has ended by itself. */
export interface ServerFailure {
  readonly error: ServerError;
}

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

const EVERYBODY = 'everybody who reaches this node can read and change everything';
/** For answers on their way and for connections to be closed in order. */
const CLOSE_MS_MIN = 250;

export class RunningServer {
  readonly log: Logger;
  /** Resolves when consensus or storage has stopped for good. Never rejects. */
  readonly failed: Promise<ServerFailure>;
  /** Resolves when the server is to be stopped and started again, with what is to be done in between. Never rejects. */
  readonly restartWanted: Promise<{ readonly between: () => Promise<void> }>;
  readonly #config: ServerConfig;
  readonly #version: string;
  readonly #startedMs = performance.now();
  readonly #stopSignal = new AbortController();
  /** Either somebody gave up starting or `stop` was called. */
  readonly #signal: AbortSignal;
  readonly #alarms = new Alarms();
  readonly #clock = new JournalClock();
  #security: Security | undefined;
  #group: RaftGroup | undefined;
  #parts: Parts | undefined;
  #tracing: Tracing | undefined;
  #http: HttpServer | undefined;
  #fail: (failure: ServerFailure) => void = () => undefined;
  #restart: (wanted: { readonly between: () => Promise<void> }) => void = () => undefined;
  #fatal: string | undefined;
  #removed = false;
  #stopped: Promise<void> | undefined;

  constructor(config: ServerConfig, options: ServerOptions) {
    this.#config = config;
    this.log = options.log;
    this.#version = options.version;
    this.#signal = AbortSignal.any([options.signal, this.#stopSignal.signal]);
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.restartWanted = new Promise((resolve) => {
      this.#restart = resolve;
    });
  }

  /** To be called once, by {@link startServer}. */
  async open(): Promise<void> {
    const { log } = this;
    const [config, version] = [this.#config, this.#version];
    const security = await Security.open({ config, log });
    this.#security = security;
    if (config.node.insecure) {
      const who = security.enforced ? 'whoever listens on the network may read along' : EVERYBODY;
      log.warn(`INSECURE: ${who}; --insecure says that this is wanted`);
    }
    const checkpoints = new Checkpoints();
    this.#tracing = await openTracing(config, version);
    const machine = new JournalMachine({ log, checkpoints, tracing: this.#tracing });
    const group = await RaftGroup.start({
      config,
      machine,
      log,
      version,
      alarms: this.#alarms,
      clock: this.#clock,
      security,
      signal: this.#signal,
    });
    this.#group = group;
    const parts = createParts({
      config,
      version,
      log,
      machine,
      tracing: this.#tracing,
      checkpoints,
      group,
      restart: (between) => {
        this.#restart({ between });
      },
      alarms: this.#alarms,
      clock: this.#clock,
      security,
      startedMs: this.#startedMs,
      stopping: () => this.#stopped !== undefined,
      fatal: () => this.#fatal,
    });
    this.#parts = parts;
    watchClock(this.#clock, this.#alarms, log, this.#signal);
    const failed = (error: RaftError): void => {
      this.#fatal = error.message;
      this.#fail({ error: startError(error) });
    };
    watchRaft(group.node, parts.metrics, log, this.#alarms, failed, {
      isJoining: config.cluster.join.length > 0,
      // It hears of no leader any more, so writers must not stay with it.
      onRemoved: () => {
        this.#removed = true;
        parts.grpc.health.setServing(false);
        void parts.grpc.drain();
      },
      onReadmitted: () => {
        this.#restart({ between: () => Promise.resolve() });
      },
    });
    parts.metrics.snapshotOf(await group.snapshotTimeMs());
    await this.#listen(parts);
    await group.joinIfNew();
  }

  async #listen({ routes, grpc }: Parts): Promise<void> {
    const listeners = listenersOf(this.#config);
    const { metrics, grpc: clients } = this.#config.listen;
    this.#http = await listenHttp(metrics, routes, localPaths(this.#config)).catch(async (error: unknown) => {
      throw await listenError(listeners.metrics, error);
    });
    await grpc.front.listen(clients.host, clients.port).catch(async (error: unknown) => {
      throw await listenError(listeners.grpc, error);
    });
    if (!this.#removed) grpc.health.setServing(true);
  }

  /** Resolves once the node can answer: a cluster of one voter has a leader then; a larger one may still lack others. */
  async ready(): Promise<NodeLine> {
    const group = this.#group;
    if (group === undefined)
      throw new Error('assertion failed: a server is opened before it is asked whether it is ready');
    if (group.isSoleVoter()) await group.leads();
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
   * Takes no new boots, hands leadership over, lets what is under way finish within `limits.drain_timeout`, and closes
   * everything.
   * Idempotent; never rejects.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#stopSignal.abort(new Error('the server is stopping'));
    const parts = this.#parts;
    parts?.grpc.health.setServing(false);
    parts?.duties.end();
    const deadlineMs = performance.now() + this.#config.limits.drainTimeout;
    const boots = parts?.bootServer.drain();
    // First the leadership, so that writers find another leader while their calls here are still answered.
    await this.#handOver();
    await parts?.safekeeping.stop();
    if (parts !== undefined) {
      const leftMs = (): number => Math.max(CLOSE_MS_MIN, deadlineMs - performance.now());
      await Promise.race([
        Promise.all([boots, parts.grpc.drain()]),
        new Promise((resolve) => setTimeout(resolve, leftMs()).unref()),
      ]);
      parts.grpc.health.endWatches();
      await parts.grpc.front.close(leftMs());
      parts.forwarder.close();
      await parts.overlays.close();
    }
    await this.#group?.node.stop();
    await this.#tracing?.close();
    this.#security?.close();
    if (this.#http !== undefined) await closeHttp(this.#http);
  }

  async #handOver(): Promise<void> {
    const group = this.#group;
    if (group === undefined || this.#fatal !== undefined) return;
    if (group.facts().role !== 'leader' || group.isSoleVoter()) return;
    await group.transferLeadership(undefined).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      this.log.warn({ reason }, 'leadership could not be handed over before stopping');
    });
  }
}
