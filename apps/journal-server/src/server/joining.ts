/** How a new, empty node gets into a running cluster: it asks the members it was told of to add it as a learner. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { journal } from '@pact-journal/journal-proto';
import type { Member } from '@pact-journal/raft-core';
import type { MemberChannel } from '../auth/index.ts';
import { formatAddress, type Address } from '../config/index.ts';
import { isServerError, ServerError } from './errors.ts';
import type { Logger } from './log.ts';
import { raftMember } from './members.ts';

const CALL_TIMEOUT_MS = 5_000;
const RETRY_MS = 1_000;

type Cluster = journal.ClusterServiceClient;
/** Answers that will not get better by asking again. */
const FINAL: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.FAILED_PRECONDITION,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
]);

export interface Joiner {
  readonly addresses: readonly Address[];
  /** How to connect to a member's client port. */
  readonly channel: () => MemberChannel;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** The present members, from the first of the addresses that answers. Asks until one does or the signal is aborted. */
export async function askForMembers(joiner: Joiner): Promise<readonly Member[]> {
  return untilAnswered(joiner, 'asking for the members', async (client) => {
    const { members } = await call<journal.ListMembersResponse>((metadata, options, done) =>
      client.listMembers({}, metadata, options, done),
    );
    return members.map(({ id, raft, grpc, metrics }) => raftMember(id, raft, grpc, metrics, ''));
  });
}

/**
 * Has this node added as a learner, unless it is one. Fails with {@link ServerError} `refused` where the cluster
 * refuses it. A voter whose directory is empty has forgotten its votes, so it is not let back under its id.
 */
export async function askToJoin(joiner: Joiner, self: Member): Promise<void> {
  const request = {
    id: self.id,
    raft: self.address,
    grpc: self.attributes['grpc'] ?? '',
    metrics: self.attributes['metrics'] ?? '',
    autoPromote: false,
  };
  await untilAnswered(joiner, 'asking to be added', async (client) => {
    const { members } = await call<journal.ListMembersResponse>((metadata, options, done) =>
      client.listMembers({}, metadata, options, done),
    );
    const known = members.find(({ id }) => id === self.id);
    if (known === undefined) {
      await call<journal.AddLearnerResponse>((metadata, options, done) =>
        client.addLearner(request, metadata, options, done),
      );
    } else if (known.role !== 'learner' || known.raft !== self.address) {
      const where = `node ${String(self.id)} is a member already (${known.role} at ${known.raft})`;
      throw new ServerError(
        'refused',
        `${where}, and this data directory does not hold its log; join under a new --node-id`,
      );
    }
  });
}

async function untilAnswered<Answer>(
  joiner: Joiner,
  doing: string,
  ask: (client: Cluster) => Promise<Answer>,
): Promise<Answer> {
  const { addresses, log, signal } = joiner;
  for (;;) {
    for (const address of addresses) {
      signal.throwIfAborted();
      const endpoint = formatAddress(address);
      const { credentials, options } = joiner.channel();
      const client = new journal.ClusterServiceClient(endpoint, credentials, options);
      const close = (): void => {
        client.close();
      };
      signal.addEventListener('abort', close);
      try {
        return await ask(client);
      } catch (error) {
        if (isServerError(error)) throw error;
        const { code, details } = serviceError(error);
        if (code !== undefined && FINAL.has(code))
          throw new ServerError('refused', `${endpoint} does not let this node join: ${details}`, {
            cause: error,
          });
        log.warn({ endpoint, reason: details }, `${doing}: no answer yet`);
      } finally {
        signal.removeEventListener('abort', close);
        close();
      }
    }
    await sleep(RETRY_MS, undefined, { signal });
  }
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

function call<Response>(
  start: (metadata: Metadata, options: { readonly deadline: Date }, done: Callback<Response>) => unknown,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    start(new Metadata(), { deadline: new Date(Date.now() + CALL_TIMEOUT_MS) }, (error, response) => {
      if (error !== null) reject(error);
      else resolve(response);
    });
  });
}

function serviceError(error: unknown): { readonly code: status | undefined; readonly details: string } {
  if (!(error instanceof Error)) return { code: undefined, details: String(error) };
  const code = 'code' in error && typeof error.code === 'number' ? error.code : undefined;
  return {
    code,
    details: 'details' in error && typeof error.details === 'string' ? error.details : error.message,
  };
}
