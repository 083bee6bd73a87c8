import type { ConfChangeIgnoreReason, EntryId, LogPosition, RaftEvent } from '../events.ts';
import type { ConfChange, ConfChangeTransition, ConfChangeType, ConfState } from '../types.ts';
import { describeConfig, describeProgress, hex, ROLE_NAMES } from './describe.ts';
import { quoteBytes } from './quote.ts';

/** Severity of a log line. */
export type LogLevel = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

/** One line of a log. */
export interface LogLine {
  /** Its severity. */
  readonly level: LogLevel;
  /** The line without its level. */
  readonly text: string;
}

type EventOf<Type extends RaftEvent['type']> = Extract<RaftEvent, { type: Type }>;

/** The line that etcd's Raft library logs for a decision; none for the few that it makes silently. */
export function renderEvent(event: RaftEvent): LogLine | undefined {
  switch (event.type) {
    case 'started':
      return info(
        `newRaft ${hex(event.node)} [peers: [${event.voters.map(hex).join(',')}], term: ${event.term}, ` +
          `commit: ${event.committed}, applied: ${event.applied}, lastindex: ${event.last.index}, ` +
          `lastterm: ${event.last.term}]`,
      );
    case 'roleChanged':
      return info(`${hex(event.node)} became ${ROLE_WORDS[event.role]} at term ${event.term}`);
    case 'configSwitched':
      return info(`${hex(event.node)} switched to configuration ${describeConfig(event.config)}`);
    case 'quorumLost':
      return warn(`${hex(event.node)} stepped down to follower since quorum is not active`);
    case 'leaderForgotten':
      return info(`${hex(event.node)} forgetting leader ${hex(event.leader)} at term ${event.term}`);
    case 'forgetLeaderRefused':
      return { level: 'ERROR', text: 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased' };
    case 'electionStarted':
      return info(`${hex(event.node)} is starting a new election at term ${event.term}`);
    case 'electionRefused':
      return electionRefused(event);
    case 'voteRequested':
      return info(
        `${hex(event.node)} [${at(event.last)}] sent ${event.messageType} request to ${hex(event.to)} ` +
          `at term ${event.term}`,
      );
    case 'voteReceived':
      return info(
        `${hex(event.node)} received ${event.messageType}${event.granted ? '' : ' rejection'} ` +
          `from ${hex(event.from)} at term ${event.term}`,
      );
    case 'votesTallied':
      return info(
        `${hex(event.node)} has received ${event.granted} ${event.messageType} votes ` +
          `and ${event.rejected} vote rejections`,
      );
    case 'voteAnswered':
      return info(
        `${hex(event.node)} [${at(event.last)}, vote: ${hex(event.vote)}] ` +
          `${event.answer === 'granted' ? 'cast' : 'rejected'} ${event.messageType} ` +
          `${event.answer === 'granted' ? 'for' : 'from'} ${hex(event.candidate)} ` +
          `[${at(event.candidateLast)}] at term ${event.term}`,
      );
    case 'voteIgnoredInLease':
      return info(
        `${hex(event.node)} [${at(event.last)}, vote: ${hex(event.vote)}] ignored ${event.messageType} ` +
          `from ${hex(event.candidate)} [${at(event.candidateLast)}] at term ${event.term}: ` +
          `lease is not expired (remaining ticks: ${event.remainingTicks})`,
      );
    case 'higherTermReceived':
      return info(
        `${hex(event.node)} [term: ${event.term}] received a ${event.messageType} message with higher term ` +
          `from ${hex(event.from)} [term: ${event.messageTerm}]`,
      );
    case 'lowerTermIgnored':
      return info(
        `${hex(event.node)} [term: ${event.term}] ignored a ${event.messageType} message with lower term ` +
          `from ${hex(event.from)} [term: ${event.messageTerm}]`,
      );
    case 'staleAppendAckIgnored':
      return info(
        `${hex(event.node)} [term: ${event.term}] ignored entry appends from a ${event.messageType} message ` +
          `with lower term [term: ${event.messageTerm}]`,
      );
    case 'appendRejected':
      return debug(
        `${hex(event.node)} [logterm: ${event.ownTerm}, index: ${event.anchor.index}] rejected MsgApp ` +
          `[${at(event.anchor)}] from ${hex(event.from)}`,
      );
    case 'rejectionReceived':
      return debug(
        `${hex(event.node)} received MsgAppResp(rejected, hint: (index ${event.hint.index}, ` +
          `term ${event.hint.term})) from ${hex(event.from)} for index ${event.index}`,
      );
    case 'progressDecreased':
    case 'peerUnreachable':
    case 'snapshotRecovered':
    case 'replicationPaused':
      return progressLine(event);
    case 'progressMissing':
      return debug(`${hex(event.node)} no progress available for ${hex(event.peer)}`);
    case 'conflictFound':
      return info(
        `found conflict at index ${event.index} ` +
          `[existing term: ${event.existingTerm}, conflicting term: ${event.conflictingTerm}]`,
      );
    case 'unstableReplaced':
      return info(`replace the unstable entries from index ${event.index}`);
    case 'unstableTruncated':
      return info(`truncate the unstable entries before index ${event.index}`);
    case 'stableEntryMissing':
      return info(`entry at index ${event.index} missing from unstable log; ignoring`);
    case 'stableEntryIsSnapshot':
      return info(`entry at index ${event.index} matched unstable snapshot; ignoring`);
    case 'stableEntryMismatch': {
      const { acknowledged, actualTerm } = event;
      return info(
        `entry at (index,term)=(${acknowledged.index},${acknowledged.term}) mismatched with ` +
          `entry at (${acknowledged.index},${actualTerm}) in unstable log; ignoring`,
      );
    }
    case 'proposalDropped':
      return proposalDropped(event);
    case 'confChangeIgnored':
      return info(
        `${hex(event.node)} ignoring conf change ${confChangeText(event)} ` +
          `at config ${describeConfig(event.config)}: ${ignoreReason(event.reason)}`,
      );
    case 'autoLeaveStarted':
      return info(
        `initiating automatic transition out of joint configuration ${describeConfig(event.config)}`,
      );
    case 'autoLeaveDropped':
      return debug(
        `not initiating automatic transition out of joint configuration ${describeConfig(event.config)}: ` +
          'raft proposal dropped',
      );
    case 'snapshotSent':
      return debug(
        `${hex(event.node)} [firstindex: ${event.firstIndex}, commit: ${event.committed}] ` +
          `sent snapshot[${snapshotAt(event.snapshot)}] to ${hex(event.to)} [${describeProgress(event.progress)}]`,
      );
    case 'snapshotNotSent':
      return debug(
        event.reason === 'inactive'
          ? `ignore sending snapshot to ${hex(event.to)} since it is not recently active`
          : `${hex(event.node)} failed to send snapshot to ${hex(event.to)} ` +
              'because snapshot is temporarily unavailable',
      );
    case 'snapshotReported':
      return debug(
        `${hex(event.node)} snapshot ${event.succeeded ? 'succeeded' : 'failed'}, ` +
          `resumed sending replication messages to ${hex(event.peer)} [${describeProgress(event.progress)}]`,
      );
    case 'snapshotRestoring':
      return info(
        `log [${positionText(event.position)}] starts to restore snapshot [${snapshotAt(event.snapshot)}]`,
      );
    case 'snapshotRestored':
    case 'snapshotFastForwarded':
      return info(
        `${hex(event.node)} [commit: ${event.committed}, lastindex: ${event.last.index}, ` +
          `lastterm: ${event.last.term}] ` +
          `${event.type === 'snapshotRestored' ? 'restored' : 'fast-forwarded commit to'} ` +
          `snapshot [${snapshotAt(event.snapshot)}]`,
      );
    case 'snapshotHandled':
      return info(
        `${hex(event.node)} [commit: ${event.committed}] ${event.restored ? 'restored' : 'ignored'} ` +
          `snapshot [${snapshotAt(event.snapshot)}]`,
      );
    case 'snapshotRefused':
      return warn(
        event.reason === 'notFollower'
          ? `${hex(event.node)} attempted to restore snapshot as leader; should never happen`
          : `${hex(event.node)} attempted to restore snapshot but it is not in the ConfState ` +
              `${confStateText(event.snapshot.metadata.confState)}; should never happen`,
      );
    case 'transfer':
      return transferLine(event);
    case 'timeoutNowReceived':
      return event.ignored
        ? debug(
            `${hex(event.node)} [term ${event.term} state ${ROLE_NAMES[event.role]}] ` +
              `ignored MsgTimeoutNow from ${hex(event.from)}`,
          )
        : info(
            `${hex(event.node)} [term ${event.term}] received MsgTimeoutNow from ${hex(event.from)} ` +
              'and starts an election to get leadership.',
          );
    case 'readDropped':
      return info(`${hex(event.node)} no leader at term ${event.term}; dropping index reading msg`);
    case 'readReleasedTooEarly':
      return {
        level: 'ERROR',
        text: 'pending MsgReadIndex should be released only after first commit in current term',
      };
    case 'readResponseMalformed':
      return {
        level: 'ERROR',
        text:
          `${hex(event.node)} invalid format of MsgReadIndexResp from ${hex(event.from)}, ` +
          `entries count: ${event.entries}`,
      };
  }
}

const ROLE_WORDS = {
  follower: 'follower',
  candidate: 'candidate',
  leader: 'leader',
  preCandidate: 'pre-candidate',
} as const;

function electionRefused(event: EventOf<'electionRefused'>): LogLine {
  switch (event.reason) {
    case 'alreadyLeader':
      return debug(`${hex(event.node)} ignoring MsgHup because already leader`);
    case 'notPromotable':
      return warn(`${hex(event.node)} is unpromotable and can not campaign`);
    case 'unappliedConfChange':
      return warn(
        `${hex(event.node)} cannot campaign at term ${event.term} ` +
          'since there are still pending configuration changes to apply',
      );
  }
}

function progressLine(
  event: EventOf<'progressDecreased' | 'peerUnreachable' | 'snapshotRecovered' | 'replicationPaused'>,
): LogLine {
  const node = hex(event.node);
  const peer = hex(event.peer);
  const progress = `[${describeProgress(event.progress)}]`;
  switch (event.type) {
    case 'progressDecreased':
      return debug(`${node} decreased progress of ${peer} to ${progress}`);
    case 'peerUnreachable':
      return debug(`${node} failed to send message to ${peer} because it is unreachable ${progress}`);
    case 'snapshotRecovered':
      return debug(
        `${node} recovered from needing snapshot, resumed sending replication messages to ${peer} ${progress}`,
      );
    case 'replicationPaused':
      return debug(`${node} paused sending replication messages to ${peer} ${progress}`);
  }
}

function proposalDropped(event: EventOf<'proposalDropped'>): LogLine | undefined {
  const node = hex(event.node);
  switch (event.reason) {
    case 'noLeader':
      return info(`${node} no leader at term ${event.term}; dropping proposal`);
    case 'forwardingDisabled':
      return info(
        `${node} not forwarding to leader ${hex(event.peer)} at term ${event.term}; dropping proposal`,
      );
    case 'transferInProgress':
      return debug(
        `${node} [term ${event.term}] transfer leadership to ${hex(event.peer)} is in progress; dropping proposal`,
      );
    case 'uncommittedSizeLimit':
      return warn(
        `${node} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      );
    case 'leaderRemoved':
    case 'emptyProposal':
      return undefined;
  }
}

function transferLine(event: EventOf<'transfer'>): LogLine {
  const node = hex(event.node);
  const target = hex(event.target);
  const inTerm = `${node} [term ${event.term}]`;
  switch (event.step) {
    case 'started':
      return info(`${inTerm} starts to transfer leadership to ${target}`);
    case 'alreadyInProgress':
      return info(
        `${inTerm} transfer leadership to ${target} is in progress, ignores request to same node ${target}`,
      );
    case 'previousAborted':
      return info(`${inTerm} abort previous transferring leadership to ${target}`);
    case 'toSelf':
      return debug(`${node} is already leader. Ignored transferring leadership to self`);
    case 'toLearner':
      return debug(`${node} is learner. Ignored transferring leadership`);
    case 'targetUpToDate':
      return info(
        `${node} sends MsgTimeoutNow to ${target} immediately as ${target} already has up-to-date log`,
      );
    case 'targetCaughtUp':
      return info(`${node} sent MsgTimeoutNow to ${target} after received MsgAppResp`);
    case 'noLeader':
      return info(`${node} no leader at term ${event.term}; dropping leader transfer msg`);
  }
}

function ignoreReason(reason: ConfChangeIgnoreReason): string {
  switch (reason.kind) {
    case 'unappliedChange':
      return `possible unapplied conf change at index ${reason.index} (applied to ${reason.applied})`;
    case 'mustLeaveJoint':
      return 'must transition out of joint config first';
    case 'notJoint':
      return 'not in joint state; refusing empty conf change';
  }
}

const TRANSITION_NAMES: Readonly<Record<ConfChangeTransition, string>> = {
  auto: 'ConfChangeTransitionAuto',
  jointImplicit: 'ConfChangeTransitionJointImplicit',
  jointExplicit: 'ConfChangeTransitionJointExplicit',
};

const TYPE_NAMES: Readonly<Record<ConfChangeType, string>> = {
  addNode: 'ConfChangeAddNode',
  removeNode: 'ConfChangeRemoveNode',
  updateNode: 'ConfChangeUpdateNode',
  addLearnerNode: 'ConfChangeAddLearnerNode',
};

/** The change in protocol buffers text form. */
function confChangeText(event: EventOf<'confChangeIgnored'>): string {
  if (event.automatic) return '';
  const { change } = event;
  const fields = change.changes.map(({ type, nodeId }) => `type:${TYPE_NAMES[type]} node_id:${nodeId}`);
  const parts =
    event.entryType === 'confChange'
      ? fields
      : [`transition:${TRANSITION_NAMES[change.transition]}`, ...fields.map((field) => `changes:{${field}}`)];
  return [...parts, ...contextText(change)].join(' ');
}

function contextText(change: ConfChange): readonly string[] {
  return change.context.length === 0 ? [] : [`context:${quoteBytes(change.context)}`];
}

function confStateText(state: ConfState): string {
  const repeated = (name: string, ids: readonly number[]): string[] => ids.map((id) => `${name}:${id}`);
  return [
    ...repeated('voters', state.voters),
    ...repeated('learners', state.learners),
    ...repeated('voters_outgoing', state.votersOutgoing),
    ...repeated('learners_next', state.learnersNext),
    `auto_leave:${state.autoLeave}`,
  ].join(' ');
}

function positionText(position: LogPosition): string {
  return (
    `committed=${position.committed}, applied=${position.applied}, applying=${position.applying}, ` +
    `unstable.offset=${position.unstableOffset}, ` +
    `unstable.offsetInProgress=${position.unstableOffsetInProgress}, ` +
    `len(unstable.Entries)=${position.unstableEntries}`
  );
}

function at(entry: EntryId): string {
  return `logterm: ${entry.term}, index: ${entry.index}`;
}

function snapshotAt(entry: EntryId): string {
  return `index: ${entry.index}, term: ${entry.term}`;
}

function debug(text: string): LogLine {
  return { level: 'DEBUG', text };
}

function info(text: string): LogLine {
  return { level: 'INFO', text };
}

function warn(text: string): LogLine {
  return { level: 'WARN', text };
}
