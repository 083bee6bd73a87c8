import type { Client } from '@grpc/grpc-js';
import { toLogIndex, toTerm } from '@pact-journal/raft-core';
import type { Entry, Member, NodeId, SnapshotSource, StoredSnapshot } from '@pact-journal/raft-core';
import { plain } from '../codec/snapshot.ts';
import { entryTypeOf } from '../codec/types.ts';
import { RaftGrpcError } from '../errors.ts';
import { RaftTransportServiceDefinition, Lane } from '../gen/raft/v1/raft.ts';
import type { ReadCommittedResponse } from '../gen/raft/v1/raft.ts';
import { defaultLimits, defaultTimings } from '../options.ts';
import type { GrpcTransportOptions } from '../options.ts';
import { helloFrom, openClient } from './calling.ts';
import type { CallerOptions } from './calling.ts';
import { callError, fetchSnapshot } from './snapshot-client.ts';

export interface PeerLogsOptions extends Pick<
  GrpcTransportOptions,
  'id' | 'clusterId' | 'release' | 'channelCredentials' | 'channelOptions'
> {
  /** The other members, at their peer ports. */
  readonly peers: readonly Pick<Member, 'id' | 'address'>[];
  /** For one answer. 10,000 ms by default. */
  readonly timeoutMs?: number;
}

/** What one peer answers. */
export interface PeerLog {
  readonly nodeId: NodeId;
  readonly clusterId: string;
  /** Whether a quorum has confirmed, since the peer was asked, that nothing beyond `commitIndex` was committed before. */
  readonly confirmed: boolean;
  /** Everything up to here is committed. */
  readonly commitIndex: number;
  /** Committed ones of those that were asked for, from the first on without a gap. */
  readonly entries: readonly Entry[];
}

interface Peer {
  readonly member: Pick<Member, 'id' | 'address'>;
  readonly client: Client;
}

/**
 * Reads what the running members of a group have committed, for a stopped one whose log is damaged. Calls them as that
 * node: it must not run meanwhile.
 */
export class PeerLogs {
  readonly #options: CallerOptions;
  readonly #peers: readonly Peer[];
  readonly #snapshots = new Map<Peer, { readonly index: number; readonly term: number }>();

  constructor(options: PeerLogsOptions) {
    const timings = {
      ...defaultTimings,
      snapshotTimeoutMs: options.timeoutMs ?? defaultTimings.snapshotTimeoutMs,
    };
    this.#options = { ...options, limits: defaultLimits, timings };
    this.#peers = options.peers.map((member) => ({ member, client: openClient(this.#options, member) }));
  }

  /** What each peer has of entries `from` to `to`; those that do not answer are left out. Fails where none does. */
  async fetchEntries(from: number, to: number): Promise<readonly PeerLog[]> {
    const outcomes = await Promise.allSettled(this.#peers.map((peer) => this.#read(peer, from, to)));
    const answers = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    if (answers.length > 0) return answers;
    const reasons = outcomes.map(({ status, ...rest }) =>
      status === 'rejected' && 'reason' in rest && rest.reason instanceof Error
        ? rest.reason.message
        : status,
    );
    throw new RaftGrpcError('unavailable', `no peer answers: ${reasons.join('; ')}`);
  }

  /** The newest snapshot that a peer offered with its entries. */
  async fetchSnapshot(): Promise<
    { readonly stored: StoredSnapshot; readonly source: SnapshotSource } | undefined
  > {
    const [best] = [...this.#snapshots].toSorted(([, a], [, b]) => b.index - a.index);
    if (best === undefined) return undefined;
    const [{ member, client }, { index, term }] = best;
    const host = {
      timings: this.#options.timings,
      hello: () => this.#hello(member.id),
      client: () => client,
    };
    const { signal } = new AbortController();
    return await fetchSnapshot(host, member.id, toLogIndex(index), toTerm(term), signal);
  }

  close(): void {
    for (const { client } of this.#peers) client.close();
  }

  /** As many answers as it takes. */
  async #read(peer: Peer, from: number, to: number): Promise<PeerLog> {
    const entries: Entry[] = [];
    for (;;) {
      const answer = await this.#ask(peer, from + entries.length, to);
      if (answer.snapshotIndex > 0) {
        this.#snapshots.set(peer, { index: answer.snapshotIndex, term: answer.snapshotTerm });
      }
      for (const wire of answer.entries) {
        const type = entryTypeOf(wire.type);
        if (type === undefined || wire.index !== from + entries.length) {
          throw new RaftGrpcError(
            'malformed',
            `${doing(peer, from, to)}: got an entry that was not asked for`,
          );
        }
        entries.push({
          term: toTerm(wire.term),
          index: toLogIndex(wire.index),
          type,
          data: plain(wire.data),
        });
      }
      const { commitIndex, confirmed } = answer;
      if (answer.entries.length === 0 || from + entries.length > to) {
        return {
          nodeId: peer.member.id,
          clusterId: this.#options.clusterId,
          confirmed,
          commitIndex,
          entries,
        };
      }
    }
  }

  #ask(peer: Peer, from: number, to: number): Promise<ReadCommittedResponse> {
    const { readCommitted: method } = RaftTransportServiceDefinition;
    const deadline = Date.now() + this.#options.timings.snapshotTimeoutMs;
    return new Promise((resolve, reject) => {
      peer.client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        { hello: this.#hello(peer.member.id), fromIndex: from, toIndex: to },
        { deadline },
        (error, response) => {
          if (error !== null) reject(callError(error, doing(peer, from, to)));
          else if (response === undefined)
            reject(new RaftGrpcError('malformed', `${doing(peer, from, to)}: empty answer`));
          else resolve(response);
        },
      );
    });
  }

  #hello(to: NodeId): ReturnType<typeof helloFrom> {
    return helloFrom(this.#options, { to, lane: Lane.UNSPECIFIED, address: '' });
  }
}

function doing({ member }: Peer, from: number, to: number): string {
  return `reading entries ${from} to ${to} of node ${member.id} at ${member.address}`;
}
