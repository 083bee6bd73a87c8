/** Passes a call that only the leader can answer on to the leader's client port. */
import { Client, Metadata, status, type MethodDefinition, type ServiceError } from '@grpc/grpc-js';
import { OUTCOME_KEY, REQUEST_ID_KEY } from '@pact-journal/journal-proto';
import type { Member, NotLeaderError } from '@pact-journal/raft-core';
import { encodeCaller, ON_BEHALF_KEY, type Caller, type MemberChannel } from '../auth/index.ts';
import { CallError } from './grpc-status.ts';
import type { HeaderReader, IncomingCall } from './incoming.ts';

/** Says which node passed a call on: a call is passed on once, so that two nodes that disagree cannot play ping-pong. */
export const FORWARDED_KEY = 'x-pact-forwarded-by';

export interface LeaderForwarderOptions {
  readonly nodeId: number;
  /** Largest answer, in bytes. */
  readonly maxMessageSize: number;
  /** Where a member serves clients; undefined where that is not known. */
  readonly clientAddress: (member: Member) => string | undefined;
  /** How to connect to a member's client port. */
  readonly channel: (memberId: number) => MemberChannel;
  /** Who makes a call that came in here. */
  readonly callerOf: (header: HeaderReader) => Caller;
}

/** A connection to a leader. */
interface Leader {
  readonly client: Client;
  /** See {@link MemberChannel}. */
  readonly trusted: boolean;
}

/** Who is asked, and where it serves clients. */
interface AskedMember {
  readonly id: number;
  readonly grpc: string;
}

/** Whether a call was passed on to here by another node. */
export function wasForwarded(header: HeaderReader): boolean {
  return header(FORWARDED_KEY) !== undefined;
}

export class LeaderForwarder {
  readonly #options: LeaderForwarderOptions;
  readonly #leaders = new Map<string, Leader>();

  constructor(options: LeaderForwarderOptions) {
    this.#options = options;
  }

  /**
   * Calls the leader on behalf of a call that came in. Rejects with {@link CallError}: the leader's own, or
   * `UNAVAILABLE` where it cannot be asked.
   */
  async unary<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    incoming: IncomingCall,
    reason: NotLeaderError,
  ): Promise<Response> {
    const { client, metadata } = this.towards(reason, incoming.header);
    return new Promise((resolve, reject) => {
      const onward = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: incoming.deadline },
        (error: ServiceError | null, response?: Response) => {
          if (error !== null) reject(forwardedError(error));
          else if (response !== undefined) resolve(response);
          else reject(new CallError(status.INTERNAL, 'the leader answered nothing'));
        },
      );
      incoming.onCancel(() => {
        onward.cancel();
      });
    });
  }

  /**
   * A channel to the leader, and what of a client's metadata goes on to it. Throws `UNAVAILABLE` where there is none to
   * call or the call was passed on already.
   *
   * A leader that knows this node for a member is told who calls, and believes it: the caller's own credentials stay
   * here. Any other must find out itself, from the caller's token.
   */
  towards(
    reason: NotLeaderError,
    header: HeaderReader,
  ): { readonly client: Client; readonly metadata: Metadata } {
    const { client, trusted } = this.#leader(reason, header);
    const metadata = new Metadata();
    for (const key of trusted ? [REQUEST_ID_KEY] : [REQUEST_ID_KEY, 'authorization']) {
      const value = header(key);
      if (value !== undefined) metadata.set(key, value);
    }
    const caller = this.#options.callerOf(header);
    if (trusted && caller.kind !== 'anybody') metadata.set(ON_BEHALF_KEY, encodeCaller(caller));
    metadata.set(FORWARDED_KEY, String(this.#options.nodeId));
    return { client, metadata };
  }

  #leader(reason: NotLeaderError, header: HeaderReader): Leader {
    if (reason.leader === undefined)
      throw new CallError(status.UNAVAILABLE, 'there is no leader at the moment; try again');
    if (wasForwarded(header))
      throw new CallError(status.UNAVAILABLE, 'leadership is changing hands; try again');
    const address = this.#options.clientAddress(reason.leader);
    if (address === undefined) {
      throw new CallError(
        status.UNAVAILABLE,
        `node ${String(reason.leaderId)} leads, but its client address is not known here; ask it directly`,
      );
    }
    return this.#member(reason.leaderId, address);
  }

  /**
   * Asks another member something for this node's own sake, once. Rejects with {@link CallError}, which names the member:
   * its own answer, or `UNAVAILABLE` where there is none.
   */
  async ask<Request, Response>(
    member: AskedMember,
    method: MethodDefinition<Request, Response>,
    request: Request,
    timeoutMs: number,
  ): Promise<Response> {
    const metadata = new Metadata();
    metadata.set(FORWARDED_KEY, String(this.#options.nodeId));
    return new Promise((resolve, reject) => {
      this.#member(member.id, member.grpc).client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error: ServiceError | null, response?: Response) => {
          if (error !== null) reject(askedError(member, error));
          else if (response !== undefined) resolve(response);
          else reject(new CallError(status.INTERNAL, `${member.grpc} answered nothing`));
        },
      );
    });
  }

  #member(id: number, address: string): Leader {
    const key = `${String(id)}@${address}`;
    const known = this.#leaders.get(key);
    if (known !== undefined) return known;
    const { credentials, options, trusted } = this.#options.channel(id);
    const client = new Client(address, credentials, {
      'grpc.max_receive_message_length': this.#options.maxMessageSize,
      'grpc.max_send_message_length': -1,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 1_000,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      ...options,
    });
    const leader = { client, trusted };
    this.#leaders.set(key, leader);
    return leader;
  }

  /** New connections are made with what `channel` says now. */
  renew(): void {
    this.close();
  }

  close(): void {
    for (const { client } of this.#leaders.values()) client.close();
    this.#leaders.clear();
  }
}

/** No answer came, for whatever reason gRPC has for it. */
const UNANSWERED: ReadonlySet<status> = new Set([status.CANCELLED, status.DEADLINE_EXCEEDED]);

function askedError({ id, grpc }: AskedMember, { code, details, metadata }: ServiceError): CallError {
  const why = `asking node ${String(id)} (${grpc}): ${details.trim()}`;
  return new CallError(UNANSWERED.has(code) ? status.UNAVAILABLE : code, why, metadata);
}

/** What the leader said, or, where it said nothing, that nobody knows whether it did what it was asked. */
function forwardedError({ code, details, metadata }: ServiceError): CallError {
  const said = Object.keys(metadata.getMap()).length > 0;
  const neverSent = details.startsWith('No connection established');
  if (said) return new CallError(code, details, metadata);
  const trailers = new Metadata();
  if (!neverSent) trailers.set(OUTCOME_KEY, 'unknown');
  return new CallError(code, `the leader cannot be reached: ${details.trim()}`, trailers);
}
