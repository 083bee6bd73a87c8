import type { stream } from '@pact-journal/journal-proto';
import type { EntrySeq, Scope } from '@pact-journal/journal-state';
import { BootStreamError } from '../errors.ts';
import type { BootLimits } from '../limits.ts';
import type { BootSource } from '../source.ts';
import { UpdateFrames } from '../wire/updates.ts';
import type { ServerCall } from './call.ts';
import { entriesOf } from './interest.ts';
import type { Interest } from './interest.ts';
import { statusOf } from './status.ts';
import { checkId } from './validate.ts';

/**
 * A subscriber is a cursor into the journal: what it has not been sent yet is not queued anywhere, it is read when the
 * connection has room. So nothing can be lost or repeated between replay and live, and one that lags costs nothing.
 */
interface Subscriber {
  readonly call: ServerCall;
  readonly interest: Interest;
  /** The virtual cluster it is listed under; changes with the node's assignment. */
  listedUnder: string | undefined;
  /** The first sequence that it has not been sent or passed over. */
  cursor: number;
  /** The connection has no room; its drain continues. */
  blocked: boolean;
  /** It is in the queue of those who are served next. */
  queued: boolean;
  /** The journal's length when it had been sent everything for the first time: later entries count as lag. */
  liveFrom: number;
  /** Bytes of updates since `liveFrom` that it has not been sent. */
  lagBytes: number;
}

/** Entries delivered to one subscriber, and subscribers served, before others get their turn. */
const ENTRIES_A_TURN = 64;
const TURN_MS = 5;
/** How long a subscriber that was cut off has to read its status. */
const FAREWELL_MS = 10_000;

export interface SubscriptionStats {
  readonly subscribers: number;
  readonly updatesSent: number;
  /** Subscribers that were cut off because they fell behind. */
  readonly cutOff: number;
}

/** Serves SubscribeConfigUpdates calls. */
export class Subscriptions {
  readonly #source: BootSource;
  readonly #limits: BootLimits;
  readonly #frames = new UpdateFrames();
  readonly #all = new Set<Subscriber>();
  readonly #byNode = new Map<string, Set<Subscriber>>();
  readonly #byVCluster = new Map<string, Set<Subscriber>>();
  readonly #watchers = new Set<Subscriber>();
  /** Those who are served next, from `#served` on. An array: a set of all would be rehashed with every commit. */
  #queue: Subscriber[] = [];
  #served = 0;
  readonly #stopListening: (() => void)[] = [];
  #seen = 0;
  #turnScheduled = false;
  #updatesSent = 0;
  #cutOff = 0;

  constructor(source: BootSource, limits: BootLimits) {
    this.#source = source;
    this.#limits = limits;
    this.#seen = source.view().entryCount;
    this.#stopListening.push(source.onAppended(() => this.#appended()));
    const stop = source.onAssigned?.((nodeId) => this.#assigned(nodeId));
    if (stop !== undefined) this.#stopListening.push(stop);
  }

  /** Answers the call until one of both ends it. */
  serve(call: ServerCall, request: stream.SubscribeRequest): void {
    call.sendHeaders();
    try {
      checkId(request.nodeId, 'node_id');
      checkId(request.vclusterId, 'vcluster_id');
      if (this.#all.size >= this.#limits.subscribersMax) {
        throw new BootStreamError(
          'overloaded',
          `this replica has ${this.#all.size} subscribers: try another replica`,
          {
            retryAfterMs: this.#limits.retryAfterMs,
            resumeFrom: request.fromSequence,
          },
        );
      }
    } catch (error) {
      call.end(statusOf(error));
      return;
    }
    const subscriber: Subscriber = {
      call,
      interest: { nodeId: request.nodeId, vclusterId: request.vclusterId },
      listedUnder: undefined,
      cursor: request.fromSequence,
      blocked: false,
      queued: false,
      liveFrom: Infinity,
      lagBytes: 0,
    };
    this.#add(subscriber);
    call.onClose = () => this.#remove(subscriber);
    call.onDrain = () => {
      if (!subscriber.blocked) return;
      subscriber.blocked = false;
      this.#wake(subscriber);
    };
    this.#wake(subscriber);
  }

  stats(): SubscriptionStats {
    return { subscribers: this.#all.size, updatesSent: this.#updatesSent, cutOff: this.#cutOff };
  }

  /** Ends all subscriptions with UNAVAILABLE and from where to resume; accepts no more changes. */
  close(): void {
    for (const stop of this.#stopListening.splice(0)) stop();
    for (const subscriber of this.#all) {
      this.#end(
        subscriber,
        new BootStreamError('unavailable', 'this replica is shutting down: resume at another', {
          resumeFrom: subscriber.cursor,
        }),
      );
    }
  }

  #appended(): void {
    const view = this.#source.view();
    // Entries are kept encoded: without a reader they are not decoded.
    if (this.#all.size === 0) this.#seen = view.entryCount;
    for (; this.#seen < view.entryCount; this.#seen += 1) {
      const entry = view.entry(this.#seen as EntrySeq);
      if (entry === undefined) continue;
      for (const subscriber of this.#concerned(entry.scope)) {
        if (subscriber.liveFrom <= entry.sequence) subscriber.lagBytes += this.#frames.of(entry, view).length;
        if (!subscriber.blocked) this.#wake(subscriber);
        else if (subscriber.lagBytes > this.#limits.subscriberLagBytesMax) this.#endLagging(subscriber);
      }
    }
    this.#seen = view.entryCount;
  }

  *#concerned(scope: Scope): Generator<Subscriber, void> {
    if (scope === 'Global') {
      yield* this.#all;
    } else if ('Node' in scope) {
      yield* this.#byNode.get(scope.Node) ?? [];
    } else {
      yield* this.#byVCluster.get(scope.VCluster) ?? [];
      yield* this.#watchers;
    }
  }

  #endLagging(subscriber: Subscriber): void {
    this.#cutOff += 1;
    this.#end(
      subscriber,
      new BootStreamError(
        'overloaded',
        `the subscriber is more than ${this.#limits.subscriberLagBytesMax} bytes behind: read faster, resume from sequence ${subscriber.cursor}`,
        { resumeFrom: subscriber.cursor, retryAfterMs: this.#limits.retryAfterMs },
      ),
    );
  }

  #wake(subscriber: Subscriber): void {
    if (!subscriber.queued) {
      subscriber.queued = true;
      this.#queue.push(subscriber);
    }
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(() => this.#turn());
  }

  /** Serves those who are ready for a few milliseconds, then lets others use the event loop. */
  #turn(): void {
    this.#turnScheduled = false;
    const endMs = performance.now() + TURN_MS;
    for (; this.#served < this.#queue.length && performance.now() <= endMs; this.#served += 1) {
      const subscriber = this.#queue[this.#served];
      if (subscriber === undefined) break;
      subscriber.queued = false;
      if (this.#all.has(subscriber) && !subscriber.call.closed) this.#deliver(subscriber);
    }
    const next = this.#queue[this.#served];
    if (next !== undefined) return this.#wake(next);
    this.#queue = [];
    this.#served = 0;
  }

  #deliver(subscriber: Subscriber): void {
    const view = this.#source.view();
    let count = 0;
    for (const entry of entriesOf(subscriber.interest, subscriber.cursor, view)) {
      if (count++ === ENTRIES_A_TURN) return this.#wake(subscriber);
      const frame = this.#frames.of(entry, view);
      const hasRoom = subscriber.call.write([frame]);
      subscriber.cursor = entry.sequence + 1;
      if (subscriber.liveFrom <= entry.sequence) subscriber.lagBytes -= frame.length;
      this.#updatesSent += 1;
      if (hasRoom) continue;
      subscriber.blocked = true;
      return;
    }
    subscriber.cursor = Math.max(subscriber.cursor, view.entryCount);
    subscriber.liveFrom = Math.min(subscriber.liveFrom, subscriber.cursor);
    subscriber.lagBytes = 0;
  }

  #end(subscriber: Subscriber, error: BootStreamError): void {
    subscriber.call.end(statusOf(error));
    this.#remove(subscriber);
    const farewell = setTimeout(() => subscriber.call.abort(), FAREWELL_MS).unref();
    subscriber.call.onClose = () => clearTimeout(farewell);
  }

  #assigned(nodeId: string): void {
    for (const subscriber of this.#byNode.get(nodeId) ?? []) {
      this.#unlist(subscriber);
      this.#list(subscriber);
    }
  }

  #add(subscriber: Subscriber): void {
    const { nodeId, vclusterId } = subscriber.interest;
    this.#all.add(subscriber);
    if (nodeId !== '') addTo(this.#byNode, nodeId, subscriber);
    else if (vclusterId === '') this.#watchers.add(subscriber);
    this.#list(subscriber);
  }

  #list(subscriber: Subscriber): void {
    const { nodeId, vclusterId } = subscriber.interest;
    const listedUnder =
      vclusterId === '' && nodeId !== '' ? this.#source.view().assignment(nodeId) : vclusterId;
    if (listedUnder === undefined || listedUnder === '') return;
    subscriber.listedUnder = listedUnder;
    addTo(this.#byVCluster, listedUnder, subscriber);
  }

  #unlist(subscriber: Subscriber): void {
    if (subscriber.listedUnder !== undefined)
      removeFrom(this.#byVCluster, subscriber.listedUnder, subscriber);
    subscriber.listedUnder = undefined;
  }

  #remove(subscriber: Subscriber): void {
    this.#all.delete(subscriber);
    this.#watchers.delete(subscriber);
    removeFrom(this.#byNode, subscriber.interest.nodeId, subscriber);
    this.#unlist(subscriber);
  }
}

function addTo<Key, Value>(map: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const set = map.get(key);
  if (set === undefined) map.set(key, new Set([value]));
  else set.add(value);
}

function removeFrom<Key, Value>(map: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
