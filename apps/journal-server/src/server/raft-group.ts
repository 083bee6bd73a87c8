/** This node's part in the Raft group: storage, network and state machine under one RaftNode. */
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandResult } from '@pact-journal/journal-state';
import {
  NotLeaderError,
  RaftNode,
  toLogIndex,
  toNodeId,
  toTerm,
  type LogStore,
  type Member,
  type SnapshotChunkRef,
  type SnapshotSource,
  type StoredSnapshot,
} from '@pact-journal/raft-core';
import { GrpcTransport, type CallerRefusalCounts, type TransportEvent } from '@pact-journal/raft-grpc';
import { openWalStorage, type DirectorySnapshotStore, type WalStorage } from '@pact-journal/wal-storage';
import { formatAddress, type ServerConfig } from '../config/index.ts';
import { makeDirectory } from '../directories.ts';
import type { Security } from '../auth/index.ts';
import type { Alarms } from './alarms.ts';
import { CommitTimes } from './commit-times.ts';
import type { ClusterFacts } from './facts.ts';
import type { JournalMachine } from './journal-machine.ts';
import type { JournalClock } from './journal-clock.ts';
import { askForMembers, askToJoin } from './joining.ts';
import type { Logger } from './log.ts';
import { founders, readdress, selfMember } from './members.ts';
import { MembershipChanges } from './membership-changes.ts';
import { PeerRefusals } from './peer-refusals.ts';
import { factsOf } from './raft-facts.ts';
import { readdressed, type Readdress } from './readdressed-transport.ts';
import { releaseOf } from './release.ts';
import type { SnapshotFacts } from './services/cluster-service.ts';

export interface RaftGroupOptions {
  readonly config: ServerConfig;
  readonly machine: JournalMachine;
  readonly log: Logger;
  readonly version: string;
  readonly alarms: Alarms;
  readonly clock: JournalClock;
  readonly security: Pick<Security, 'peerTransport' | 'memberChannel'>;
  /** Aborted when the server stops: joining is given up. */
  readonly signal: AbortSignal;
}

export class RaftGroup {
  readonly node: RaftNode<CommandResult>;
  readonly changes: MembershipChanges;
  readonly #config: ServerConfig;
  readonly snapshots: DirectorySnapshotStore;
  readonly logStore: Pick<LogStore, 'firstIndex' | 'entries'>;
  readonly #readdress: Readdress;
  readonly #self: Member;
  /** Kept beside the node's status, which costs too much to be asked for with every write. */
  #leading: boolean;
  readonly #joiner: Parameters<typeof askToJoin>[0];
  readonly #transport: GrpcTransport;
  readonly #commitTimes = new CommitTimes();
  readonly #version: string;

  private constructor(
    node: RaftNode<CommandResult>,
    { transport, storage }: { transport: GrpcTransport; storage: WalStorage },
    options: RaftGroupOptions,
  ) {
    const { config, version } = options;
    this.node = node;
    this.snapshots = storage.snapshots;
    this.logStore = storage.log;
    this.#transport = transport;
    this.#version = version;
    this.#config = config;
    this.#readdress = readdress(config);
    this.#self = selfMember(config, version);
    this.#leading = node.status().role === 'leader';
    node.on('roleChange', ({ role }) => {
      this.#leading = role === 'leader';
      this.#commitTimes.clear();
    });
    node.on('applied', ({ toIndex }) => {
      if (this.#leading) this.#commitTimes.record(performance.now(), toIndex);
    });
    this.#joiner = joinerOf(options);
    this.changes = new MembershipChanges(node, {
      whoLeads: () => this.whoLeads(),
      isSoleVoter: () => this.isSoleVoter(),
      members: () => this.facts().members,
    });
  }

  /** Recovers what the data directory holds and starts taking part. */
  static async start(options: RaftGroupOptions): Promise<RaftGroup> {
    const { config, machine, log, version } = options;
    const { dataDir, id } = config.node;
    const isNew = !(await exists(join(dataDir, 'raft')));
    await makeDirectory(dataDir);
    const storage = openWalStorage({
      dataDir,
      clusterId: config.cluster.id,
      nodeId: id,
      entriesPerFile: config.storage.entriesPerFile,
      // Commands are canonical JSON on one line.
      payload: 'json',
      onWarning: ({ message, ...where }) => {
        log.warn(where, message);
      },
    });
    const joining = isNew && config.cluster.join.length > 0;
    const initialPeers = joining ? await askForMembers(joinerOf(options)) : undefined;
    const bootstrap = founders(config, version);
    const { heartbeatInterval, electionTimeout, maxPendingSize } = config.raft;
    const refusals = new PeerRefusals(options.alarms, log);
    const { clock } = options;
    const transport = transportFor(options, (event) => {
      if (event.type === 'peerTime') clock.peerSaid(event.peer, event.timeMs);
      refusals.observe(event);
    });
    const node = await RaftNode.start<CommandResult>({
      id: toNodeId(id),
      logStore: storage.log,
      snapshotStore: storage.snapshots,
      stateMachine: machine,
      transport: config.cluster.readdress ? readdressed(transport, readdress(config)) : transport,
      ...(bootstrap === undefined ? {} : { bootstrap }),
      ...(initialPeers === undefined ? {} : { initialPeers }),
      tickIntervalMs: heartbeatInterval,
      heartbeatTicks: 1,
      electionTicks: Math.round(electionTimeout / heartbeatInterval),
      pendingProposalsMaxBytes: maxPendingSize,
      snapshotIntervalEntries: config.storage.snapshotIntervalEntries,
      snapshotIntervalBytes: config.storage.snapshotIntervalSize,
      logRetentionEntries: config.storage.retainedEntries,
    });
    node.on('membershipChange', ({ members }) => {
      refusals.keepOnly(members);
      clock.keepOnly(members);
    });
    return new RaftGroup(node, { transport, storage }, options);
  }

  facts(): ClusterFacts {
    return factsOf({
      status: this.node.status(),
      clusterId: this.#config.cluster.id,
      readdress: this.#readdress,
      versionOf: (id) =>
        id === this.#self.id ? this.#version : (this.#transport.stats(toNodeId(id))?.softwareVersion ?? ''),
      committedForMs: (index) => this.#commitTimes.committedForMs(index, performance.now()),
    });
  }

  /**
   * Fetches the snapshot that another member has at `index` into this node's store, without using it. Returns what was
   * fetched, and how many bytes of it.
   */
  async fetchSnapshot(
    from: number,
    index: number,
    term: number,
    signal: AbortSignal,
  ): Promise<{ readonly stored: StoredSnapshot; readonly fetchedBytes: number }> {
    const { stored, source } = await this.#transport.fetchSnapshot(
      toNodeId(from),
      toLogIndex(index),
      toTerm(term),
      signal,
    );
    let fetchedBytes = 0;
    const counting: SnapshotSource = {
      read: async (sha256, offset, maxBytes) => {
        const bytes = await source.read(sha256, offset, maxBytes);
        fetchedBytes += bytes.length;
        return bytes;
      },
    };
    await this.snapshots.receive(stored, counting, signal);
    return { stored, fetchedBytes };
  }

  /** Callers at the Raft port that were not let in, by what did not fit. */
  get callerRefusals(): CallerRefusalCounts {
    return this.#transport.callerRefusals;
  }

  /** Undefined while this node leads. Cheap then. */
  whoLeads(): NotLeaderError | undefined {
    if (this.#leading) return undefined;
    const { leaderId, leader } = this.node.status();
    return new NotLeaderError(leaderId, leader, 'appending');
  }

  /** Has this node added to the group that it was told to join, unless it is a member. */
  async joinIfNew(): Promise<void> {
    const isMember = this.node.status().members.some(({ id }) => id === this.#self.id);
    if (this.#config.cluster.join.length > 0 && !isMember) await askToJoin(this.#joiner, this.#self);
  }

  /** Whether this node alone has a vote, so that it needs nobody to lead. */
  isSoleVoter(): boolean {
    const { confState, id } = this.node.status();
    return confState.voters.length === 1 && confState.voters[0] === id;
  }

  /** Resolves once this node leads and has applied what was committed before. */
  async leads(): Promise<void> {
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (this.node.status().role !== 'leader') return;
        this.node.off('roleChange', check);
        resolve();
      };
      this.node.on('roleChange', check);
      check();
    });
    await this.node.linearizableRead();
  }

  /** Does nothing where `to` leads already. */
  async transferLeadership(to: number | undefined): Promise<void> {
    if (to === this.#self.id && this.#leading) return;
    await this.node.transferLeadership(to === undefined ? undefined : toNodeId(to));
  }

  async snapshot(): Promise<SnapshotFacts> {
    const before = this.snapshots.latest();
    const { meta, manifest, chunks } = await this.node.snapshot();
    const known = new Set([before?.manifest, ...(before?.chunks ?? [])].map((ref) => ref?.sha256));
    const size = (refs: readonly SnapshotChunkRef[]): number =>
      refs.reduce((sum, ref) => sum + ref.sizeBytes, 0);
    const all = [manifest, ...chunks];
    const written = all.filter(({ sha256 }) => !known.has(sha256));
    return { index: meta.index, term: meta.term, sizeBytes: size(all), writtenBytes: size(written) };
  }

  /** When the newest snapshot on disk was written, in milliseconds since 1970; 0 where there is none. */
  async snapshotTimeMs(): Promise<number> {
    const { snapshot } = this.node.status();
    if (snapshot === undefined) return 0;
    const name = `snap-${String(snapshot.term)}-${String(snapshot.index)}.json`;
    return stat(join(this.#config.node.dataDir, 'raft', 'snapshots', name)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  }

  /** On the leader: has the group remember the configured addresses where they differ. */
  async persistAddresses(): Promise<void> {
    const changed = this.node.status().members.flatMap((member): readonly Member[] => {
      const { id, address, attributes } =
        member.id === this.#self.id
          ? { ...this.#readdress(member), ...this.#selfAddresses(member) }
          : this.#readdress(member);
      const same =
        address === member.address &&
        attributes['grpc'] === member.attributes['grpc'] &&
        attributes['metrics'] === member.attributes['metrics'];
      return same ? [] : [{ id, address, attributes: withoutReserved(attributes) }];
    });
    for (const member of changed) await this.node.updateMember(member);
  }

  #selfAddresses(member: Member): Pick<Member, 'address' | 'attributes'> {
    return { address: this.#self.address, attributes: { ...member.attributes, ...this.#self.attributes } };
  }
}

function withoutReserved(attributes: Member['attributes']): Member['attributes'] {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !name.startsWith('raft-core:')));
}

function joinerOf({ config, log, signal, security }: RaftGroupOptions): Parameters<typeof askToJoin>[0] {
  return {
    addresses: config.cluster.join,
    channel: () => security.memberChannel(undefined),
    log,
    signal,
  };
}

function transportFor(
  { config, version, security, clock }: RaftGroupOptions,
  onEvent: (event: TransportEvent) => void,
): GrpcTransport {
  const { listen, advertise } = config;
  const release = releaseOf(version);
  return new GrpcTransport({
    id: toNodeId(config.node.id),
    clusterId: config.cluster.id,
    listen: formatAddress(listen.raft),
    advertise: formatAddress(advertise.raft ?? listen.raft),
    ...(release === undefined ? {} : { release }),
    timeOfDayMs: () => clock.counted(),
    ...security.peerTransport(),
    onEvent,
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
