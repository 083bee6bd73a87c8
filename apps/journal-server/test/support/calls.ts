/** Calls a journal as any gRPC client would: with the generated stubs, from another process than the server's. */
import {
  credentials,
  Metadata,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { journal, policy, stream, newEntryToFieldedWire } from '@pact-journal/journal-proto';
import { emptyDelta, type NewConfigEntry, type Scope, type StateDelta } from '@pact-journal/journal-state';

const options = { 'grpc.max_receive_message_length': -1 };

export interface Stubs {
  readonly config: journal.ConfigServiceClient;
  readonly append: journal.JournalAppendServiceClient;
  readonly nodes: journal.NodeServiceClient;
  readonly audit: journal.AuditServiceClient;
  readonly cluster: journal.ClusterServiceClient;
  readonly overlays: journal.OverlayServiceClient;
  readonly query: journal.JournalQueryServiceClient;
  readonly policy: policy.PolicyServiceClient;
  readonly boot: stream.BootConfigServiceClient;
  close(): void;
}

export function stubs(endpoint: string): Stubs {
  const insecure = credentials.createInsecure();
  const all = {
    config: new journal.ConfigServiceClient(endpoint, insecure, options),
    append: new journal.JournalAppendServiceClient(endpoint, insecure, options),
    nodes: new journal.NodeServiceClient(endpoint, insecure, options),
    audit: new journal.AuditServiceClient(endpoint, insecure, options),
    cluster: new journal.ClusterServiceClient(endpoint, insecure, options),
    overlays: new journal.OverlayServiceClient(endpoint, insecure, options),
    query: new journal.JournalQueryServiceClient(endpoint, insecure, options),
    policy: new policy.PolicyServiceClient(endpoint, insecure, options),
    boot: new stream.BootConfigServiceClient(endpoint, insecure, options),
  };
  return {
    ...all,
    close: () => {
      for (const client of Object.values(all)) client.close();
    },
  };
}

type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { readonly deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/** A unary call as a promise. Rejects with the `ServiceError`. */
export function call<Request, Response>(
  client: object,
  method: Unary<Request, Response>,
  request: Request,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return new Promise((resolve, reject) => {
    method.call(client, request, metadata, { deadline: Date.now() + 10_000 }, (error, response) => {
      if (error === null) resolve(response);
      else reject(error);
    });
  });
}

/** All messages of a stream. */
export function all<Message>(readable: ClientReadableStream<Message>): Promise<Message[]> {
  return new Promise((resolve, reject) => {
    const messages: Message[] = [];
    readable.on('data', (message: Message) => messages.push(message));
    readable.on('error', reject);
    readable.on('end', () => {
      resolve(messages);
    });
  });
}

/** A commit of one sysctl. */
export function commitOf(
  key: string,
  value: string,
  scope: Scope = 'Global',
  more: Partial<NewConfigEntry> = {},
): NewConfigEntry {
  const state_delta: StateDelta = {
    ...emptyDelta(),
    kernel: [{ action: 'Add', key, value, previous: null }],
  };
  return {
    entry_type: 'Commit',
    scope,
    author: { principal: 'ada', principal_type: 'Human', role: 'pact-platform-admin' },
    parent: null,
    state_delta,
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
    ...more,
  };
}

/** Appends through ConfigService and resolves with the sequence. */
export async function append(
  { config }: Stubs,
  entry: NewConfigEntry,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { sequence } = await call(
    config,
    config.appendEntry.bind(config),
    { entry: newEntryToFieldedWire(entry) },
    headers,
  );
  return sequence;
}

/** Every sequence and its policy_ref (where the message travels), as one replica lists them. */
export async function listing({ config }: Stubs): Promise<string[]> {
  const entries = await all(
    config.listEntries({
      scope: undefined,
      fromSequence: undefined,
      toSequence: undefined,
      limit: undefined,
    }),
  );
  return entries.map((entry) => `${String(entry.sequence)} ${entry.policyRef}`);
}
