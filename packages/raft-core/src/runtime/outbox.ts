/** The way out to the peers. */
import { isLocalTarget } from '../core/message.ts';
import type { LogIndex, Message, NodeId } from '../core/types.ts';
import type { Member, StoredSnapshot, Transport } from './interfaces.ts';
import { CommitNotices } from './commit-notices.ts';
import type { ResolvedOptions } from './options.ts';
import { RecentSnapshots } from './recent-snapshots.ts';

type OutboxOptions = Pick<
  ResolvedOptions<never>,
  'id' | 'transport' | 'snapshotStore' | 'initialPeers' | 'clock' | 'commitNoticeDelayMs'
>;

/** Hands messages to the transport, grouped by peer and in order, and remembers which snapshots they offer. */
export class Outbox {
  readonly #self: NodeId;
  readonly #transport: Transport;
  readonly #initialPeers: readonly Member[];
  readonly #snapshots: RecentSnapshots;
  readonly #notices: CommitNotices;

  constructor({
    id,
    transport,
    snapshotStore,
    initialPeers = [],
    clock,
    commitNoticeDelayMs,
  }: OutboxOptions) {
    this.#self = id;
    this.#transport = transport;
    this.#initialPeers = initialPeers;
    this.#snapshots = new RecentSnapshots(snapshotStore);
    this.#notices = new CommitNotices(clock, commitNoticeDelayMs, (notice) => {
      transport.send(notice.to, [notice]);
    });
  }

  /** Sends what is for peers; the rest is for this node's own threads. */
  send(messages: readonly Message[]): void {
    let byPeer: Map<NodeId, Message[]> | undefined;
    for (const message of messages) {
      if (isLocalTarget(message.to) || message.to === this.#self || this.#notices.holds(message)) continue;
      byPeer ??= new Map<NodeId, Message[]>();
      const queued = byPeer.get(message.to);
      if (queued === undefined) byPeer.set(message.to, [message]);
      else queued.push(message);
      if (message.type === 'MsgSnap') this.#snapshots.remember();
    }
    if (byPeer === undefined) return;
    for (const [peer, queued] of byPeer) this.#transport.send(peer, queued);
  }

  /** The members as applied here. What was known beforehand fills in until this node has seen itself among them. */
  setMembers(members: readonly Member[]): void {
    const joined = members.some((member) => member.id === this.#self);
    const beforehand = new Map(this.#initialPeers.map((peer) => [peer.id, peer]));
    const known = joined ? new Map<NodeId, Member>() : new Map(beforehand);
    for (const member of members) {
      known.set(member.id, member.address === '' ? (beforehand.get(member.id) ?? member) : member);
    }
    known.delete(this.#self);
    // Whoever is a member no more learns it from the commit index.
    this.#notices.flush();
    this.#transport.setPeers([...known.values()]);
  }

  /** Sends nothing any more of its own accord. */
  stop(): void {
    this.#notices.stop();
  }

  /** The newest snapshot, for a peer that will ask for it. */
  offerSnapshot(): StoredSnapshot | undefined {
    return this.#snapshots.remember();
  }

  /** For a peer that was offered the snapshot at `index`. */
  describeSnapshot(index: LogIndex): StoredSnapshot | undefined {
    return this.#snapshots.find(index);
  }
}
