import { base64DecodedLength, decodeBase64 } from '../base64.ts';
import { formatHash } from '../canonical.ts';
import { JournalStateError } from '../errors.ts';
import { CURSORS_MAX, OVERLAY_SIZE_BYTES_MAX } from '../limits.ts';
import { sameOperation } from '../log/operation-log.ts';
import { parseCommand, parseRequestId } from '../parse/command.ts';
import { isRecord, refuse, timestamp } from '../parse/fields.ts';
import type { EntryText } from '../parse/plain-text.ts';
import type { Tables } from '../tables/tables.ts';
import type {
  BootOverlay,
  CommandResult,
  ComputeNodeId,
  ConfigState,
  ExportCursor,
  JournalCommand,
  NewAdminOperation,
  ValidationCode,
  VClusterId,
} from '../types.ts';
import { appendEntry, checkDecision, checkEntry, checkPolicy, decideApproval, setPolicy } from './entry.ts';
import type { Appended } from './entry.ts';
import { NO_CHANGES, NO_VCLUSTERS, OK } from './outcome.ts';
import type { ApplyOutcome, StateChanges } from './outcome.ts';

/** Reasons are kept with their request ids: they must stay short. */
const REASON_LENGTH_MAX = 512;

/**
 * Applies what should be a `CommandEnvelope`. Total: whatever it is given, it answers. `entryText` is that of the entry
 * in it, where it is known.
 */
export function applyEnvelope(tables: Tables, json: unknown, entryText?: EntryText): ApplyOutcome {
  let requestId: string | undefined;
  try {
    if (!isRecord(json)) return refuse('command', 'an object of time, request_id and command', json);
    requestId = parseRequestId(json['request_id']);
    if (requestId !== undefined) {
      const first = tables.requests.find(requestId);
      if (first !== undefined)
        return { result: asAnswered(tables, first), changes: NO_CHANGES, repeated: true };
    }
    const time = timestamp(json['time'], 'time');
    const command = parseCommand(json['command']);
    if (time > tables.clock) tables.clock = time;
    return remembered(tables, requestId, applyCommand(tables, command, entryText));
  } catch (error) {
    return remembered(tables, requestId, {
      result: validationError(error),
      changes: NO_CHANGES,
      repeated: false,
    });
  }
}

/** An answer is remembered by its sequence; whether that entry asked for approval stands in the journal. */
function asAnswered(tables: Tables, first: CommandResult): CommandResult {
  if (first.type !== 'EntryAppended' || !tables.asksForApproval(first.sequence)) return first;
  return { ...first, pending: true };
}

function remembered(tables: Tables, requestId: string | undefined, outcome: ApplyOutcome): ApplyOutcome {
  if (requestId !== undefined) tables.requests.remember(requestId, outcome.result);
  return outcome;
}

/** The answer to a refused command. Errors that are not refusals are this package's own mistakes and go on. */
export function validationError(error: unknown): CommandResult {
  if (!(error instanceof JournalStateError) || !isValidationCode(error.code)) throw error;
  const reason = error.message;
  const short = reason.length > REASON_LENGTH_MAX ? `${reason.slice(0, REASON_LENGTH_MAX - 3)}...` : reason;
  return { type: 'ValidationError', code: error.code, reason: short };
}

function isValidationCode(code: JournalStateError['code']): code is ValidationCode {
  return code !== 'unknownSequence' && code !== 'snapshotDamaged' && code !== 'snapshotUnsupported';
}

const done = (changes: StateChanges): ApplyOutcome => ({ result: OK, changes, repeated: false });

const entryAppended = ({ sequence, pending, changes }: Appended): ApplyOutcome => ({
  result:
    pending === undefined
      ? { type: 'EntryAppended', sequence }
      : { type: 'EntryAppended', sequence, pending },
  changes,
  repeated: false,
});

function applyCommand(
  tables: Tables,
  command: JournalCommand,
  entryText: EntryText | undefined,
): ApplyOutcome {
  switch (command.type) {
    case 'AppendEntry':
      return entryAppended(appendEntry(tables, command.entry, entryText));
    case 'SetPolicy':
      return entryAppended(
        setPolicy(tables, command.vcluster_id, command.policy, command.author, command.message),
      );
    case 'DecideApproval':
      return entryAppended(decideApproval(tables, command));
    case 'UpdateNodeState':
      return done(updateNodeState(tables, command.node_id, command.state));
    case 'AssignNode':
      return done(assignNode(tables, command.node_id, command.vcluster_id));
    case 'SetOverlay':
      return done(setOverlay(tables, command.overlay));
    case 'RecordOperation':
      return done(recordOperation(tables, command.operation));
    case 'MoveCursor':
      return done(moveCursor(tables, command.cursor));
  }
}

function updateNodeState(tables: Tables, nodeId: ComputeNodeId, state: ConfigState): StateChanges {
  const nodesBefore = tables.nodes.size;
  const changed = tables.nodes.setState(tables.nodes.ensure(nodeId), state);
  return changed || tables.nodes.size > nodesBefore
    ? { staleOverlays: NO_VCLUSTERS, nodeState: nodeId }
    : NO_CHANGES;
}

function assignNode(tables: Tables, nodeId: ComputeNodeId, vclusterId: VClusterId | null): StateChanges {
  checkAssignment(tables, nodeId, vclusterId);
  const changed = tables.nodes.assign(nodeId, vclusterId, tables.entries.length);
  return changed ? { staleOverlays: NO_VCLUSTERS, assignment: nodeId } : NO_CHANGES;
}

/** A2: a node does not move from its own emergency into another one. */
function checkAssignment(tables: Tables, nodeId: ComputeNodeId, vclusterId: VClusterId | null): void {
  if (vclusterId === null || tables.emergencies.get({ Node: nodeId }) === undefined) return;
  if (tables.emergencies.get({ VCluster: vclusterId }) === undefined) return;
  const where = `vcluster ${vclusterId}, where another emergency is under way`;
  throw new JournalStateError(
    'emergencyActive',
    `node_id: node ${nodeId} is in an emergency and cannot move to ${where}`,
  );
}

function setOverlay(tables: Tables, overlay: BootOverlay): StateChanges {
  const { vcluster_id, version, checksum, raw_size_bytes } = overlay;
  const data = checkOverlay(tables, overlay);
  tables.overlays.set({ vcluster_id, version, data, checksum, raw_size_bytes });
  return { staleOverlays: NO_VCLUSTERS, overlay: vcluster_id };
}

/** J5: the checksum matches, and the version neither goes back nor runs ahead of the journal. Returns the data. */
function checkOverlay(tables: Tables, overlay: BootOverlay): Uint8Array {
  const { vcluster_id, checksum } = overlay;
  if (base64DecodedLength(overlay.data) > OVERLAY_SIZE_BYTES_MAX) {
    const limit = `${String(OVERLAY_SIZE_BYTES_MAX)} bytes`;
    throw new JournalStateError(
      'overlayTooLarge',
      `overlay.data: of vcluster ${vcluster_id} may have at most ${limit}`,
    );
  }
  const data = decodeBase64(overlay.data);
  if (data === undefined)
    return refuse('overlay.data', 'base64 with padding and without white space', overlay.data);
  const actual = formatHash(tables.sha256(data));
  if (checksum !== actual) {
    throw new JournalStateError(
      'overlayChecksum',
      `overlay.checksum: is ${checksum}, but that of the data is ${actual}`,
    );
  }
  checkOverlayVersion(tables, vcluster_id, overlay.version);
  return data;
}

function checkOverlayVersion(tables: Tables, vclusterId: VClusterId, version: number): void {
  const latest = tables.vclusterVersion(vclusterId);
  if (latest === undefined || version > latest) {
    const known =
      latest === undefined
        ? 'no entry concerns it'
        : `the latest entry that concerns it is ${String(latest)}`;
    const what = `version ${String(version)} of vcluster ${vclusterId} is ahead of the journal: ${known}`;
    throw new JournalStateError('overlayVersion', `overlay.version: ${what}`);
  }
  const stored = tables.overlays.get(vclusterId);
  if (stored !== undefined && version < stored.version) {
    const what = `would go back from ${String(stored.version)} to ${String(version)}`;
    throw new JournalStateError('overlayVersion', `overlay.version: of vcluster ${vclusterId} ${what}`);
  }
}

function recordOperation(tables: Tables, operation: NewAdminOperation): StateChanges {
  if (isRecorded(tables, operation)) return NO_CHANGES;
  return { staleOverlays: NO_VCLUSTERS, operation: tables.operations.append(operation, tables.clock) };
}

/** True where the very same operation is in the log; one that only shares its id is refused. */
function isRecorded(tables: Tables, operation: NewAdminOperation): boolean {
  const recorded = tables.operations.find(operation.operation_id);
  if (recorded === undefined) return false;
  if (sameOperation(recorded, operation)) return true;
  const where = `at ${String(recorded.audit_sequence)} in the audit log`;
  throw new JournalStateError(
    'duplicateOperation',
    `operation.operation_id: another operation has this id, ${where}`,
  );
}

function moveCursor(tables: Tables, cursor: ExportCursor): StateChanges {
  checkCursor(tables, cursor);
  return tables.cursors.move(cursor) ? { staleOverlays: NO_VCLUSTERS, cursor: cursor.name } : NO_CHANGES;
}

function checkCursor({ cursors, entries }: Tables, { name, next_sequence }: ExportCursor): void {
  if (next_sequence > entries.length) {
    refuse('cursor.next_sequence', `at most ${String(entries.length)}, the number of entries`, next_sequence);
  }
  if (cursors.get(name) === undefined && cursors.size >= CURSORS_MAX) {
    throw new JournalStateError(
      'tooLarge',
      `cursor.name: ${name} would be one more than the ${String(CURSORS_MAX)} cursors that a journal keeps`,
    );
  }
}

/** What a command would be refused for as things stand; undefined where it would be accepted. Changes nothing. */
export function checkCommand(tables: Tables, json: unknown): CommandResult | undefined {
  try {
    const command = parseCommand(json);
    switch (command.type) {
      case 'AppendEntry':
        checkEntry(tables, command.entry);
        break;
      case 'SetPolicy':
        checkPolicy(command.vcluster_id, command.policy);
        break;
      case 'DecideApproval':
        checkDecision(tables, command);
        break;
      case 'AssignNode':
        checkAssignment(tables, command.node_id, command.vcluster_id);
        break;
      case 'SetOverlay':
        checkOverlay(tables, command.overlay);
        break;
      case 'RecordOperation':
        isRecorded(tables, command.operation);
        break;
      case 'MoveCursor':
        checkCursor(tables, command.cursor);
        break;
      case 'UpdateNodeState':
        break;
    }
    return undefined;
  } catch (error) {
    return validationError(error);
  }
}
