/** The part of a client's append stream that goes on to the leader because this node does not lead. */
import { Metadata, status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { journal, OUTCOME_KEY } from '@pact-journal/journal-proto';
import type { NotLeaderError } from '@pact-journal/raft-core';
import type { LeaderForwarder } from '../forwarder.ts';
import { statusOf, type Status } from '../grpc-status.ts';
import type { HeaderReader } from '../incoming.ts';
import { failureOutcome } from './append-outcome.ts';

const { appendStream } = journal.JournalAppendServiceDefinition;

interface Onward {
  readonly leaderId: number;
  readonly stream: ClientDuplexStream<journal.AppendStreamRequest, journal.AppendStreamResponse>;
  /** How many items the leader has not answered, by correlation id: a client may give several the same one. */
  readonly pending: Map<number, number>;
}

export class ForwardedAppends {
  readonly #forwarder: LeaderForwarder;
  readonly #header: HeaderReader;
  readonly #decided: (outcomes: readonly journal.AppendOutcome[]) => void;
  readonly #hold: (held: boolean) => void;
  readonly #streams = new Set<Onward>();
  #current: Onward | undefined;

  constructor(
    forwarder: LeaderForwarder,
    header: HeaderReader,
    decided: (outcomes: readonly journal.AppendOutcome[]) => void,
    /** Called with true while the leader takes no more, so that the client is read no further. */
    hold: (held: boolean) => void,
  ) {
    this.#forwarder = forwarder;
    this.#header = header;
    this.#decided = decided;
    this.#hold = hold;
  }

  /** Every item gets its outcome, from the leader or from here. */
  send(message: journal.AppendStreamRequest, leader: NotLeaderError): void {
    const ids = message.items.map((item) => item.correlationId);
    try {
      const onward = this.#towards(leader);
      for (const id of ids) onward.pending.set(id, (onward.pending.get(id) ?? 0) + 1);
      if (!onward.stream.write(message)) this.#hold(true);
    } catch (error) {
      const known = statusOf(error);
      if (known === undefined) throw error;
      this.#decided(ids.map((id) => failureOutcome(id, known)));
    }
  }

  close(): void {
    for (const { stream } of this.#streams) stream.cancel();
  }

  #towards(leader: NotLeaderError): Onward {
    if (this.#current?.leaderId === leader.leaderId) return this.#current;
    const { client, metadata } = this.#forwarder.towards(leader, this.#header);
    this.#current?.stream.end();
    const stream = client.makeBidiStreamRequest(
      appendStream.path,
      appendStream.requestSerialize,
      appendStream.responseDeserialize,
      metadata,
    );
    const onward: Onward = { leaderId: leader.leaderId, stream, pending: new Map() };
    this.#streams.add(onward);
    this.#current = onward;
    stream.on('data', ({ outcomes }: journal.AppendStreamResponse) => {
      for (const { correlationId: id } of outcomes) {
        const left = (onward.pending.get(id) ?? 0) - 1;
        if (left > 0) onward.pending.set(id, left);
        else onward.pending.delete(id);
      }
      this.#decided(outcomes);
    });
    stream.on('drain', () => {
      this.#hold(false);
    });
    stream.on('error', (error: ServiceError) => {
      this.#ended(onward, error.code === status.CANCELLED ? status.UNAVAILABLE : error.code, error.details);
    });
    stream.on('end', () => {
      this.#ended(onward, status.UNAVAILABLE, 'the leader ended the stream');
    });
    return onward;
  }

  /** What the leader did not answer may have been committed all the same. */
  #ended(onward: Onward, code: status, details: string): void {
    this.#streams.delete(onward);
    if (this.#current === onward) this.#current = undefined;
    this.#hold(false);
    const metadata = new Metadata();
    metadata.set(OUTCOME_KEY, 'unknown');
    const failure: Status = { code, details: `the connection to the leader broke: ${details}`, metadata };
    const outcomes = [...onward.pending].flatMap(([id, count]) =>
      Array.from({ length: count }, () => failureOutcome(id, failure)),
    );
    onward.pending.clear();
    if (outcomes.length > 0) this.#decided(outcomes);
  }
}
