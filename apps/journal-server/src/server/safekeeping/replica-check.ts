/**
 * Compares this replica's digests with those of the others at equal log indexes, all the time. Replicas that applied the
 * same entries have the same digest; one that differs has gone astray (by a fault of its memory, its disk or its
 * software) and must neither boot nodes nor lead.
 */
import { status } from '@grpc/grpc-js';
import { journal } from '@pact-journal/journal-proto';
import type { Alarms } from '../alarms.ts';
import { MARK_INTERVAL, type Checkpoints, type DigestMark } from '../checkpoints.ts';
import type { ClusterFacts, MemberFacts } from '../facts.ts';
import type { LeaderForwarder } from '../forwarder.ts';
import type { JournalMachine } from '../journal-machine.ts';
import type { Logger } from '../log.ts';

export interface ReplicaCheckOptions {
  readonly facts: () => ClusterFacts;
  readonly machine: JournalMachine;
  readonly checkpoints: Checkpoints;
  readonly forwarder: Pick<LeaderForwarder, 'ask'>;
  readonly alarms: Alarms;
  readonly log: Logger;
  /** Hands leadership to this member. */
  readonly transferLeadership: (to: number) => Promise<void>;
  /** Has this node leave it to others to campaign, or not any more. */
  readonly setReluctant: (reluctant: boolean) => void;
  readonly intervalMs: number;
}

const CALL_TIMEOUT_MS = 2_000;
/** Indexes at which digests are kept until all others have said theirs. */
const INDEXES_MAX = 512;
/** Marks are asked for this far back, for members that lag. */
const MARKED_BACK = 32 * MARK_INTERVAL;

/** Alarm codes. */
const SELF = 'digestMismatch';
const OTHERS = 'replicaDiffers';

export class ReplicaCheck {
  readonly #options: ReplicaCheckOptions;
  /** By log index and node, what the nodes have said. */
  readonly #known = new Map<number, Map<number, string>>();
  readonly #stopListening: () => void;
  #timer: NodeJS.Timeout | undefined;
  #refusal: string | undefined;
  #soundPeers: readonly number[] = [];
  /** Members that answer but do not want to say their digest: worth a warning, once. */
  readonly #refusing = new Set<number>();
  #differing: readonly number[] = [];
  #comparedIndex = 0;
  #stopped = false;

  constructor(options: ReplicaCheckOptions) {
    this.#options = options;
    this.#stopListening = options.machine.onReplaced(() => this.#begin());
    this.#schedule();
  }

  /** Why this replica must not boot nodes or lead; undefined while nothing speaks against it. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Other members whose state differs from what most have. */
  get differing(): readonly number[] {
    return this.#differing;
  }

  /** The highest index at which this replica's digest was found equal to another's. */
  get comparedIndex(): number {
    return this.#comparedIndex;
  }

  /** To be called when this node has begun to lead: one that has gone astray hands leadership on. */
  handOn(): void {
    const { log, transferLeadership, facts } = this.#options;
    const [to] = this.#soundPeers.filter((id) =>
      facts().members.some((member) => member.id === id && member.role !== 'learner'),
    );
    if (this.#refusal === undefined || to === undefined || facts().role !== 'leader') return;
    log.warn({ to }, 'leadership is handed on because this replica has gone astray');
    transferLeadership(to).catch((error: unknown) => {
      log.warn({ err: error, to }, 'leadership could not be handed on; it is tried again');
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening();
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.#compareNow().finally(() => this.#schedule());
    }, this.#options.intervalMs);
    this.#timer.unref();
  }

  /** Another state, another judgement. */
  #begin(): void {
    this.#known.clear();
    this.#refusal = undefined;
    this.#options.setReluctant(false);
    this.#differing = [];
    this.#options.alarms.clear(SELF);
    this.#options.alarms.clear(OTHERS);
  }

  async #compareNow(): Promise<void> {
    const { facts, checkpoints } = this.#options;
    const { nodeId, members } = facts();
    const others = members.filter(({ id, grpc }) => id !== nodeId && grpc !== '');
    if (others.length === 0 || this.#stopped) return;
    const after = Math.max(0, checkpoints.lastIndex - MARKED_BACK);
    const answers = await Promise.all(others.map((member) => this.#ask(member, after)));
    for (const mark of checkpoints.marksAfter(after)) this.#note(nodeId, mark);
    for (const answer of answers) {
      if (answer === undefined) continue;
      for (const mark of answer.marks) this.#note(answer.nodeId, mark);
      // Between the marks: what it has now, if this replica knows what it had itself there.
      const mine = this.#digestAt(answer.appliedIndex);
      if (mine === undefined) continue;
      this.#note(answer.nodeId, { index: answer.appliedIndex, digest: answer.digest });
      this.#note(nodeId, { index: answer.appliedIndex, digest: mine });
    }
    this.#judge(nodeId, members.length);
    this.handOn();
    this.#forget();
  }

  #digestAt(index: number): string | undefined {
    const { facts, machine, checkpoints } = this.#options;
    if (facts().appliedIndex === index) return machine.state.digest();
    const known = checkpoints.atOrBefore(index);
    return known?.index === index ? known.digest : undefined;
  }

  async #ask(member: MemberFacts, after: number): Promise<journal.GetDigestResponse | undefined> {
    try {
      const method = journal.ClusterServiceDefinition.getDigest;
      return await this.#options.forwarder.ask(member, method, { marksAfter: after }, CALL_TIMEOUT_MS);
    } catch (error) {
      // A member that is down says nothing of its state; that it is down is told elsewhere.
      const refused = isRefusal(error) && !this.#refusing.has(member.id);
      if (isRefusal(error)) this.#refusing.add(member.id);
      this.#options.log[refused ? 'warn' : 'debug'](
        { err: error, node_id: member.id },
        'a member does not say its digest, so its state is not compared',
      );
      return undefined;
    }
  }

  #note(nodeId: number, { index, digest }: DigestMark): void {
    const known = this.#known.get(index) ?? new Map<number, string>();
    known.set(nodeId, digest);
    this.#known.set(index, known);
  }

  #forget(): void {
    const indexes = [...this.#known.keys()].sort((a, b) => a - b);
    for (const index of indexes.slice(0, -INDEXES_MAX)) this.#known.delete(index);
  }

  /** By the newest index at which it can be told who is right. */
  #judge(nodeId: number, members: number): void {
    let undecided: number | undefined;
    for (const index of [...this.#known.keys()].sort((a, b) => b - a)) {
      const digests = this.#known.get(index) ?? new Map<number, string>();
      const own = digests.get(nodeId);
      if (own === undefined || digests.size < 2) continue;
      const right = this.#rightDigest(digests, members);
      if (right === undefined) {
        undecided ??= index;
        continue;
      }
      const sound = [...digests].filter(([, digest]) => digest === right).map(([id]) => id);
      const astray = [...digests].filter(([, digest]) => digest !== right).map(([id]) => id);
      if (astray.length === 0) this.#comparedIndex = Math.max(this.#comparedIndex, index);
      return this.#conclude(nodeId, index, sound, astray);
    }
    if (undecided === undefined) return;
    const message = `replicas differ at log index ${String(undecided)}, and which of them is right cannot be told while a member does not answer; bring all members up`;
    this.#options.alarms.raise(OTHERS, message);
  }

  /** What more than half of the members have; where all have spoken and there is a tie, what the leader has. */
  #rightDigest(digests: ReadonlyMap<number, string>, members: number): string | undefined {
    const counts = new Map<string, number>();
    for (const digest of digests.values()) counts.set(digest, (counts.get(digest) ?? 0) + 1);
    if (counts.size === 1) return [...counts.keys()][0];
    const majority = [...counts].find(([, count]) => count * 2 > members)?.[0];
    if (majority !== undefined || digests.size < members) return majority;
    return digests.get(this.#options.facts().leaderId);
  }

  #conclude(nodeId: number, index: number, sound: readonly number[], astray: readonly number[]): void {
    const { alarms, log } = this.#options;
    const self = astray.includes(nodeId);
    this.#soundPeers = sound.filter((id) => id !== nodeId);
    this.#differing = astray.filter((id) => id !== nodeId);
    const nodes = (ids: readonly number[]): string => ids.map((id) => `node ${String(id)}`).join(', ');
    if (self) {
      const message = `the state of node ${String(nodeId)} differs at log index ${String(index)} from that of ${nodes(sound)}: it boots no node and does not lead; rebuild it with "pact-journal member rebuild ${String(nodeId)}"`;
      if (this.#refusal === undefined) log.error({ index, sound }, message);
      this.#refusal = message;
      this.#options.setReluctant(true);
      alarms.raise(SELF, message);
    } else if (this.#refusal !== undefined && astray.length === 0) {
      // Nothing but another state makes a state right again; that another says the same now is no proof.
      return;
    }
    if (this.#differing.length === 0 || self) return alarms.clear(OTHERS);
    const message = `the state of ${nodes(this.#differing)} differs at log index ${String(index)} from that of ${nodes(sound)}; rebuild it with "pact-journal member rebuild ${String(this.#differing[0])}"`;
    log.error({ index, differing: this.#differing }, message);
    alarms.raise(OTHERS, message);
  }
}

function isRefusal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return (
    code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED || code === status.UNIMPLEMENTED
  );
}
