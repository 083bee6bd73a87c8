import { decodeConfChange } from '../confchange/codec.ts';
import { isRaftCoreError, isStorageError } from '../errors.ts';
import { NO_INDEX } from '../ids.ts';
import type { Ready } from '../ready.ts';
import type { TrackerConfig } from '../tracker/configuration.ts';
import type { ProgressState, ProgressStatus } from '../tracker/progress.ts';
import type {
  ConfChangeSingle,
  ConfChangeType,
  ConfState,
  Entry,
  EntryType,
  HardState,
  Message,
  NodeId,
  ReadState,
  Role,
  Snapshot,
} from '../types.ts';
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NO_NODE } from '../types.ts';
import { quoteBytes } from './quote.ts';

/*
 * Text for what the core handles, in the notation of etcd's Raft library, so that logs and test scripts of either can be
 * compared. Ids are hexadecimal in messages and in the active membership, decimal in what is persisted.
 */

/** Names of the roles in text. */
export const ROLE_NAMES: Readonly<Record<Role, string>> = {
  follower: 'StateFollower',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
  preCandidate: 'StatePreCandidate',
};

const PROGRESS_NAMES: Readonly<Record<ProgressState, string>> = {
  probe: 'StateProbe',
  replicate: 'StateReplicate',
  snapshot: 'StateSnapshot',
};

const ENTRY_NAMES: Readonly<Record<EntryType, string>> = {
  normal: 'EntryNormal',
  confChange: 'EntryConfChange',
  confChangeV2: 'EntryConfChangeV2',
};

const CHANGE_LETTERS: Readonly<Record<ConfChangeType, string>> = {
  addNode: 'v',
  addLearnerNode: 'l',
  removeNode: 'r',
  updateNode: 'u',
};

/** Turns the data of a normal entry into text. */
export type DataFormatter = (data: Uint8Array) => string;

/** A message, on one line unless it carries several entries, a snapshot or responses. */
export function describeMessage(message: Message, format: DataFormatter = quoteBytes, indent = ''): string {
  const { entries, snapshot, responses } = message;
  let text =
    `${indent}${describeTarget(message.from)}->${describeTarget(message.to)} ${message.type}` +
    ` Term:${message.term} Log:${message.logTerm}/${message.index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== NO_INDEX) text += ` Commit:${message.commit}`;
  if (message.vote !== NO_NODE) text += ` Vote:${message.vote}`;
  const [first] = entries;
  if (first !== undefined && entries.length === 1) {
    text += ` Entries:[${describeEntry(first, format)}]`;
  } else if (entries.length > 1) {
    const lines = entries.map((entry) => `\n${indent}  ${describeEntry(entry, format)}`);
    text += ` Entries:[${lines.join('')}\n${indent}]`;
  }
  if (snapshot !== undefined && snapshot.metadata.index !== NO_INDEX) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  }
  if (responses.length > 0) {
    const lines = responses.map((response) => `\n${describeMessage(response, format, `${indent}  `)}`);
    text += ` Responses:[${lines.join('')}\n${indent}]`;
  }
  return text;
}

/** An entry: term, index, type, and its data or membership changes. */
export function describeEntry(entry: Entry, format: DataFormatter = quoteBytes): string {
  const content = entry.type === 'normal' ? format(entry.data) : describeEncodedChange(entry.data);
  return `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.type]}${content === '' ? '' : ` ${content}`}`;
}

/** Entries, a line each. */
export function describeEntries(entries: readonly Entry[], format: DataFormatter = quoteBytes): string {
  return entries.map((entry) => `${describeEntry(entry, format)}\n`).join('');
}

/** A Ready, in the order in which its parts are handled. */
export function describeReady(ready: Ready, format: DataFormatter = quoteBytes): string {
  let text = '';
  if (ready.softState !== undefined) {
    text += `Lead:${ready.softState.leader} State:${ROLE_NAMES[ready.softState.role]}\n`;
  }
  if (ready.hardState !== undefined) text += `HardState ${describeHardState(ready.hardState)}\n`;
  if (ready.readStates.length > 0)
    text += `ReadStates [${ready.readStates.map(describeReadState).join(' ')}]\n`;
  if (ready.entries.length > 0) text += `Entries:\n${describeEntries(ready.entries, format)}`;
  if (ready.snapshot !== undefined) text += `Snapshot ${describeSnapshot(ready.snapshot)}\n`;
  if (ready.committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(ready.committedEntries, format)}`;
  }
  if (ready.messages.length > 0) {
    text += `Messages:\n${ready.messages.map((message) => `${describeMessage(message, format)}\n`).join('')}`;
  }
  return text === '' ? '<empty Ready>' : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

/** Term, vote if there is one, and commit index. */
export function describeHardState(state: HardState): string {
  const vote = state.vote === NO_NODE ? '' : ` Vote:${state.vote}`;
  return `Term:${state.term}${vote} Commit:${state.commit}`;
}

/** Position and membership of a snapshot. */
export function describeSnapshot(snapshot: Snapshot): string {
  const { index, term, confState } = snapshot.metadata;
  return `Index:${index} Term:${term} ConfState:${describeConfState(confState)}`;
}

/** A persisted membership. */
export function describeConfState(state: ConfState): string {
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)}` +
    ` Learners:${list(state.learners)} LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

/** The active membership, for example `voters=(1 2 4)&&(1 2 3) learners=(5) autoleave`. */
export function describeConfig(config: TrackerConfig): string {
  const { incoming, outgoing } = config.voters;
  let text = `voters=${set(incoming)}${outgoing.length > 0 ? `&&${set(outgoing)}` : ''}`;
  if (config.learners.length > 0) text += ` learners=${set(config.learners)}`;
  if (config.learnersNext.length > 0) text += ` learners_next=${set(config.learnersNext)}`;
  if (config.autoLeave) text += ' autoleave';
  return text;
}

/** One member's progress, for example `StateReplicate match=14 next=17 paused inflight=2[full]`. */
export function describeProgress(progress: ProgressStatus): string {
  let text = `${PROGRESS_NAMES[progress.state]} match=${progress.match} next=${progress.next}`;
  if (progress.isLearner) text += ' learner';
  if (progress.paused) text += ' paused';
  if (progress.pendingSnapshot !== NO_INDEX) text += ` pendingSnap=${progress.pendingSnapshot}`;
  if (!progress.recentActive) text += ' inactive';
  if (progress.inflightMessages > 0) {
    text += ` inflight=${progress.inflightMessages}${progress.inflightFull ? '[full]' : ''}`;
  }
  return text;
}

/** Everybody's progress, a line each, in the order of ids. */
export function describeProgressMap(progress: ReadonlyMap<NodeId, ProgressStatus>): string {
  return [...progress]
    .sort(([a], [b]) => a - b)
    .map(([id, status]) => `${id}: ${describeProgress(status)}\n`)
    .join('');
}

/** Membership changes in short, for example `v1 l2 r3`. */
export function describeConfChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map(({ type, nodeId }) => `${CHANGE_LETTERS[type]}${nodeId}`).join(' ');
}

/** An error of the core in the words of etcd's Raft library, its own message where that has none. */
export function describeError(error: unknown): string {
  if (isRaftCoreError(error)) {
    switch (error.code) {
      case 'proposalDropped':
        return 'raft proposal dropped';
      case 'localMessage':
        return 'raft: cannot step raft local message';
      case 'unknownPeer':
        return 'raft: cannot step as peer not found';
      case 'invalidConfChange':
        return describeRejectedChange(error.reason) ?? error.message;
      default:
    }
  }
  if (isStorageError(error)) {
    switch (error.code) {
      case 'compacted':
        return 'requested index is unavailable due to compaction';
      case 'unavailable':
        return 'requested entry at index is unavailable';
      case 'snapshotTemporarilyUnavailable':
        return 'snapshot is temporarily unavailable';
    }
  }
  return error instanceof Error ? error.message : String(error);
}

/** A node id, or the name of a local storage thread. */
export function describeTarget(id: NodeId): string {
  switch (id) {
    case NO_NODE:
      return 'None';
    case LOCAL_APPEND_THREAD:
      return 'AppendThread';
    case LOCAL_APPLY_THREAD:
      return 'ApplyThread';
    default:
      return hex(id);
  }
}

/** A node id in hexadecimal. */
export function hex(id: NodeId): string {
  return id.toString(16);
}

function describeRejectedChange(reason: string | undefined): string | undefined {
  switch (reason) {
    case 'alreadyJoint':
      return 'config is already joint';
    case 'noVotersToJoin':
      return "can't make a zero-voter config joint";
    case 'notJoint':
      return "can't leave a non-joint config";
    case 'simpleInJoint':
      return "can't apply simple config change in joint config";
    case 'multipleVoters':
      return 'more than one voter changed without entering joint config';
    case 'removesAllVoters':
      return 'removed all voters';
    default:
      return undefined;
  }
}

function describeEncodedChange(data: Uint8Array): string {
  try {
    return describeConfChanges(decodeConfChange(data).changes);
  } catch (error) {
    return describeError(error);
  }
}

function describeReadState(state: ReadState): string {
  return `{${state.index} [${state.requestContext.join(' ')}]}`;
}

function list(ids: readonly NodeId[]): string {
  return `[${ids.join(' ')}]`;
}

function set(ids: readonly NodeId[]): string {
  return `(${ids.map(hex).join(' ')})`;
}
