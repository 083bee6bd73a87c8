/** A small journal in memory behind a real gRPC server, whose failures the tests choose. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
} from '@grpc/grpc-js';
import {
  journal,
  journalEntryToWire,
  newEntryFromWire,
  OUTCOME_KEY,
  REQUEST_ID_KEY,
  VALIDATION_CODE_KEY,
} from '@pact-journal/journal-proto';
import type { ConfigEntry, EntrySeq, NewConfigEntry } from '@pact-journal/journal-state';

/** What the servers of one journal share: the committed entries, and what was done under which request id. */
export class TestJournal {
  readonly entries: ConfigEntry[] = [];
  readonly #done = new Map<string, number>();
  /** Of all that was appended. */
  get requestIds(): readonly string[] {
    return [...this.#done.keys()];
  }
  leaderId = 1;
  term = 1;

  append(entry: NewConfigEntry, requestId: string): number {
    const before = this.#done.get(requestId);
    if (before !== undefined) return before;
    const sequence = this.entries.length;
    this.entries.push({
      ...entry,
      sequence: sequence as EntrySeq,
      timestamp: '2026-11-24T08:00:00.000Z',
      hash: `sha256:${sequence}`,
    });
    if (requestId !== '') this.#done.set(requestId, sequence);
    return sequence;
  }
}

/** What to do with the next items of an append stream. */
export type AppendBehaviour =
  /** Append and answer. */
  | 'answer'
  /** Append, but end the stream instead of answering. */
  | 'dropAnswer'
  /** Append, and answer one message after the other, each after a while. */
  | 'slow'
  /** Take them and do nothing. */
  | 'ignore'
  /** Answer that nobody leads. */
  | 'noLeader'
  /** Answer that the state machine refuses. */
  | 'refuse';

/** How long each message of a slow server takes. */
const SLOW_MS = 25;

const running: { stop(): void }[] = [];

export function stopServers(): void {
  for (const server of running.splice(0)) server.stop();
}

export class TestServer {
  readonly id: number;
  readonly journal: TestJournal;
  readonly #peers: TestServer[];
  #server = new Server();
  #port = 0;
  /** One for each message of items that comes; then the last one for ever. */
  behaviours: AppendBehaviour[] = ['answer'];
  /** Statuses for the next unary calls. */
  unaryFailures: { code: status; details: string; unknown?: boolean; validation?: string }[] = [];
  readonly requestIds: string[] = [];
  readonly tokens: string[] = [];
  #slowAnswers = Promise.resolve();
  messages = 0;
  itemsSeen = 0;
  streams = 0;
  unaryCalls = 0;

  private constructor(id: number, shared: TestJournal, peers: TestServer[]) {
    this.id = id;
    this.journal = shared;
    this.#peers = peers;
    peers.push(this);
  }

  static async start(id = 1, shared = new TestJournal(), peers: TestServer[] = []): Promise<TestServer> {
    const server = new TestServer(id, shared, peers);
    await server.listen();
    running.push(server);
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Again on the same port after `stop`. */
  async listen(): Promise<void> {
    const server = new Server();
    server.addService(journal.JournalAppendServiceDefinition, {
      appendStream: this.#appendStream,
    });
    server.addService(journal.JournalQueryServiceDefinition, {
      getJournalEntry: this.#getEntry,
      listJournalEntries: this.#listEntries,
    });
    server.addService(journal.ClusterServiceDefinition, {
      getStatus: this.#getStatus,
      addLearner: this.#addLearner,
    });
    server.addService(journal.NodeServiceDefinition, {
      assignNode: this.#assignNode,
    });
    this.#server = server;
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.#port}`, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #behaviour(): AppendBehaviour {
    return (this.behaviours.length > 1 ? this.behaviours.shift() : this.behaviours[0]) ?? 'answer';
  }

  #note(metadata: Metadata): void {
    for (const token of metadata.get('authorization')) this.tokens.push(String(token));
    for (const id of metadata.get(REQUEST_ID_KEY)) this.requestIds.push(String(id));
  }

  readonly #appendStream: handleBidiStreamingCall<journal.AppendStreamRequest, journal.AppendStreamResponse> =
    (call) => {
      this.streams += 1;
      this.#note(call.metadata);
      call.on('data', ({ items }: journal.AppendStreamRequest) => {
        this.messages += 1;
        this.itemsSeen += items.length;
        this.#take(call, items);
      });
      call.on('end', () => call.end());
      call.on('error', () => undefined);
    };

  #take(
    call: ServerDuplexStream<journal.AppendStreamRequest, journal.AppendStreamResponse>,
    items: journal.AppendItem[],
  ): void {
    const behaviour = this.#behaviour();
    if (behaviour === 'ignore') return;
    const outcomes = items.map((item): journal.AppendOutcome => {
      const { correlationId } = item;
      if (behaviour === 'noLeader' || behaviour === 'refuse') {
        const value =
          behaviour === 'noLeader'
            ? {
                code: status.UNAVAILABLE,
                reason: 'there is no leader at the moment',
                retryable: true,
                outcomeUnknown: false,
                validationCode: '',
              }
            : {
                code: status.FAILED_PRECONDITION,
                reason: 'entry.parent: 7 does not exist',
                retryable: false,
                outcomeUnknown: false,
                validationCode: 'parentUnknown',
              };
        return { correlationId, outcome: { $case: 'failure', value } };
      }
      this.requestIds.push(item.requestId);
      const sequence =
        item.command?.$case === 'entry'
          ? this.journal.append(newEntryFromWire(item.command.value), item.requestId)
          : undefined;
      const value = {
        sequence,
        index: (sequence ?? 0) + 10,
        term: this.journal.term,
        pendingApproval: false,
      };
      return { correlationId, outcome: { $case: 'appended', value } };
    });
    if (behaviour === 'dropAnswer') call.emit('error', { code: status.UNAVAILABLE, details: 'stopping' });
    else if (behaviour === 'slow') {
      this.#slowAnswers = this.#slowAnswers.then(async () => {
        await sleep(SLOW_MS);
        call.write({ outcomes });
      });
    } else call.write({ outcomes });
  }

  /** Fails the call where a failure is due. */
  #failed(callback: (error: { code: status; details: string; metadata: Metadata }) => void): boolean {
    this.unaryCalls += 1;
    const failure = this.unaryFailures.shift();
    if (failure === undefined) return false;
    const metadata = new Metadata();
    if (failure.unknown === true) metadata.set(OUTCOME_KEY, 'unknown');
    if (failure.validation !== undefined) metadata.set(VALIDATION_CODE_KEY, failure.validation);
    callback({ code: failure.code, details: failure.details, metadata });
    return true;
  }

  readonly #getEntry: handleUnaryCall<journal.GetJournalEntryRequest, journal.GetJournalEntryResponse> = (
    call,
    callback,
  ) => {
    if (this.#failed(callback)) return;
    this.#note(call.metadata);
    const entry = this.journal.entries[call.request.sequence];
    if (entry === undefined)
      callback({ code: status.NOT_FOUND, details: `no entry ${call.request.sequence}` });
    else callback(null, { entry: journalEntryToWire(entry) });
  };

  readonly #assignNode: handleUnaryCall<journal.AssignNodeRequest, journal.AssignNodeResponse> = (
    call,
    callback,
  ) => {
    this.#note(call.metadata);
    if (!this.#failed(callback)) callback(null, { receipt: { index: 5, term: 1 } });
  };

  readonly #addLearner: handleUnaryCall<journal.AddLearnerRequest, journal.AddLearnerResponse> = (
    _call,
    callback,
  ) => {
    if (!this.#failed(callback)) callback(null, { members: [] });
  };

  readonly #listEntries: handleServerStreamingCall<
    journal.ListJournalEntriesRequest,
    journal.ListJournalEntriesResponse
  > = (call) => {
    for (const entry of this.journal.entries) call.write({ entries: [journalEntryToWire(entry)] });
    call.end();
  };

  readonly #getStatus: handleUnaryCall<journal.GetStatusRequest, journal.GetStatusResponse> = (
    _call,
    callback,
  ) => {
    const members = this.#peers.map(({ id, address }) =>
      journal.MemberStatus.fromPartial({
        id,
        grpc: address,
        role: id === this.journal.leaderId ? 'leader' : 'follower',
      }),
    );
    callback(
      null,
      journal.GetStatusResponse.fromPartial({ nodeId: this.id, leaderId: this.journal.leaderId, members }),
    );
  };
}
