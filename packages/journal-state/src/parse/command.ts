import { canonicalJson, decodeUtf8, Slabs, utf8Exceeds } from '../canonical.ts';
import { JournalStateError } from '../errors.ts';
import {
  CURSOR_DETAIL_SIZE_BYTES_MAX,
  CURSOR_NAME_SIZE_BYTES_MAX,
  OPERATION_ID_SIZE_BYTES_MAX,
  REQUEST_ID_LENGTH_MAX,
  TEXT_SIZE_BYTES_MAX,
  VALUE_SIZE_BYTES_MAX,
} from '../limits.ts';
import type {
  AdminOperationType,
  BootOverlay,
  CommandEnvelope,
  ConfigState,
  ExportCursor,
  JournalCommand,
  NewAdminOperation,
} from '../types.ts';
import { parseIdentity, parseNewEntry } from './entry.ts';
import {
  entrySeqOrNull,
  id,
  integer,
  isRecord,
  oneOf,
  record,
  refuse,
  refuseSize,
  text,
  textOrNull,
  timestamp,
} from './fields.ts';
import { readPlainCommand } from './plain-text.ts';
import type { EntryText } from './plain-text.ts';
import { parsePolicy } from './policy.ts';
import { parseScope } from './scope.ts';

/** All states a node can be in. */
export const CONFIG_STATES: readonly ConfigState[] = [
  'ObserveOnly',
  'Committed',
  'Drifted',
  'Converging',
  'Emergency',
];

const OPERATION_TYPES: readonly AdminOperationType[] = ['Exec', 'ShellStart', 'ShellEnd'];
const COMMAND_TYPES = [
  'AppendEntry',
  'UpdateNodeState',
  'SetPolicy',
  'SetOverlay',
  'RecordOperation',
  'AssignNode',
  'MoveCursor',
  'DecideApproval',
] as const;
const DECISIONS = ['approved', 'rejected', 'expired'] as const;

const OPERATION_FIELDS = [
  'operation_id',
  'operation_type',
  'author',
  'scope',
  'detail',
  'exit_code',
  'occurred_at',
  // What the journal adds.
  'audit_sequence',
  'timestamp',
  'hash',
];
const OVERLAY_FIELDS = ['vcluster_id', 'version', 'data', 'checksum', 'raw_size_bytes'];
const ENVELOPE_FIELDS = ['time', 'request_id', 'command'];

/**
 * Reads an operation record. Its detail may have up to 1 MiB.
 * @throws JournalStateError `malformed`, `anonymousAuthor` or `tooLarge`, naming the field
 */
export function parseNewOperation(json: unknown, path = 'operation'): NewAdminOperation {
  const fields = record(json, path, OPERATION_FIELDS);
  const operationId = text(fields['operation_id'], `${path}.operation_id`, OPERATION_ID_SIZE_BYTES_MAX);
  if (operationId === '') refuse(`${path}.operation_id`, 'a non-empty string', operationId);
  const exitCode = fields['exit_code'];
  return {
    author: parseIdentity(fields['author'], `${path}.author`),
    detail: text(fields['detail'], `${path}.detail`, VALUE_SIZE_BYTES_MAX),
    exit_code:
      exitCode === undefined || exitCode === null
        ? null
        : integer(exitCode, `${path}.exit_code`, -0x8000_0000, 0x7fff_ffff),
    occurred_at: timestamp(fields['occurred_at'], `${path}.occurred_at`),
    operation_id: operationId,
    operation_type: oneOf(fields['operation_type'], `${path}.operation_type`, OPERATION_TYPES),
    scope: parseScope(fields['scope'], `${path}.scope`),
  };
}

/** Reads an overlay. Whether its data is base64 and fits its checksum is checked where it is decoded. */
export function parseOverlay(json: unknown, path = 'overlay'): BootOverlay {
  const fields = record(json, path, OVERLAY_FIELDS);
  const version = entrySeqOrNull(fields['version'], `${path}.version`);
  if (version === null) return refuse(`${path}.version`, 'a sequence', fields['version']);
  const data = fields['data'];
  if (typeof data !== 'string') return refuse(`${path}.data`, 'base64', data);
  return {
    checksum: text(fields['checksum'], `${path}.checksum`, 128),
    data,
    raw_size_bytes: integer(fields['raw_size_bytes'], `${path}.raw_size_bytes`, 0, Number.MAX_SAFE_INTEGER),
    vcluster_id: id(fields['vcluster_id'], `${path}.vcluster_id`),
    version,
  };
}

/** Reads an exporter's cursor. Whether it runs ahead of the journal is checked when it is applied. */
export function parseCursor(json: unknown, path = 'cursor'): ExportCursor {
  const fields = record(json, path, ['name', 'next_sequence', 'detail']);
  const name = id(fields['name'], `${path}.name`);
  if (utf8Exceeds(name, CURSOR_NAME_SIZE_BYTES_MAX)) {
    refuseSize(`${path}.name`, `${String(CURSOR_NAME_SIZE_BYTES_MAX)} bytes`);
  }
  return {
    detail: text(fields['detail'], `${path}.detail`, CURSOR_DETAIL_SIZE_BYTES_MAX),
    name,
    next_sequence: integer(fields['next_sequence'], `${path}.next_sequence`, 0, Number.MAX_SAFE_INTEGER),
  };
}

/**
 * Reads a command and brings it to its normal form. Checks what can be told from the command alone; what depends on
 * the journal's state is checked when it is applied.
 *
 * @throws JournalStateError `malformed`, `anonymousAuthor`, `ttlOutOfRange` or `tooLarge`, naming the field
 */
export function parseCommand(json: unknown): JournalCommand {
  if (!isRecord(json)) return refuse('command', 'an object', json);
  const type = oneOf(json['type'], 'command.type', COMMAND_TYPES);
  switch (type) {
    case 'AppendEntry':
      record(json, 'command', ['type', 'entry']);
      return { entry: parseNewEntry(json['entry'], 'entry'), type };
    case 'UpdateNodeState':
      record(json, 'command', ['type', 'node_id', 'state']);
      return {
        node_id: id(json['node_id'], 'node_id'),
        state: oneOf(json['state'], 'state', CONFIG_STATES),
        type,
      };
    case 'SetPolicy': {
      record(json, 'command', ['type', 'vcluster_id', 'policy', 'author', 'message']);
      const vclusterId = id(json['vcluster_id'], 'vcluster_id');
      const author = parseIdentity(json['author']);
      const message = textOrNull(json['message'], 'message', TEXT_SIZE_BYTES_MAX);
      const policy = parsePolicy(json['policy'], vclusterId);
      return {
        author,
        ...(message === null || message === '' ? {} : { message }),
        policy,
        type,
        vcluster_id: vclusterId,
      };
    }
    case 'SetOverlay':
      record(json, 'command', ['type', 'overlay']);
      return { overlay: parseOverlay(json['overlay'], 'overlay'), type };
    case 'RecordOperation':
      record(json, 'command', ['type', 'operation']);
      return { operation: parseNewOperation(json['operation']), type };
    case 'AssignNode': {
      record(json, 'command', ['type', 'node_id', 'vcluster_id']);
      const vcluster = json['vcluster_id'];
      const to = vcluster === null ? null : id(vcluster, 'vcluster_id');
      return { node_id: id(json['node_id'], 'node_id'), type, vcluster_id: to };
    }
    case 'MoveCursor':
      record(json, 'command', ['type', 'cursor']);
      return { cursor: parseCursor(json['cursor']), type };
    case 'DecideApproval': {
      record(json, 'command', ['type', 'pending', 'approver', 'decision', 'reason']);
      const pending = entrySeqOrNull(json['pending'], 'pending');
      if (pending === null) return refuse('pending', 'the sequence of a PendingApproval', json['pending']);
      const reason = textOrNull(json['reason'], 'reason', TEXT_SIZE_BYTES_MAX);
      return {
        approver: parseIdentity(json['approver'], 'approver'),
        decision: oneOf(json['decision'], 'decision', DECISIONS),
        pending,
        ...(reason === null || reason === '' ? {} : { reason }),
        type,
      };
    }
  }
}

/** An idempotency key: 1 to 128 characters. */
export function parseRequestId(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.length >= 1 && value.length <= REQUEST_ID_LENGTH_MAX) return value;
  return refuse('request_id', `a string of 1 to ${String(REQUEST_ID_LENGTH_MAX)} characters`, value);
}

/**
 * Reads a whole envelope.
 * @throws JournalStateError `malformed`, `anonymousAuthor`, `ttlOutOfRange` or `tooLarge`, naming the field
 */
export function parseEnvelope(json: unknown): CommandEnvelope {
  const fields = record(json, '', ENVELOPE_FIELDS);
  const requestId = parseRequestId(fields['request_id']);
  return {
    command: parseCommand(fields['command']),
    ...(requestId === undefined ? {} : { request_id: requestId }),
    time: timestamp(fields['time'], 'time'),
  };
}

/**
 * A command as it goes into the replicated log: one line of canonical JSON, UTF-8. The bytes may share an ArrayBuffer with
 * those of other commands, as a small Buffer's do: not to be transferred.
 */
export function encodeCommand(envelope: CommandEnvelope): Uint8Array {
  return slabs.encode(canonicalJson(envelope));
}

/** Commands follow one another, and memory of its own for each costs more than to write it. */
const slabs = new Slabs();

/**
 * A command's JSON as `encodeCommand` wrote it, not checked yet, and what the canonical JSON of a plain entry in it
 * consists of.
 * @throws JournalStateError `malformed` where it is not JSON
 */
export function readCommand(bytes: Uint8Array): {
  readonly envelope: unknown;
  readonly entryText?: EntryText;
} {
  try {
    const text = decodeUtf8(bytes);
    return readPlainCommand(text) ?? { envelope: JSON.parse(text) as unknown };
  } catch (cause) {
    throw new JournalStateError('malformed', 'command: must be JSON in UTF-8', { cause });
  }
}

/**
 * Reads what `encodeCommand` wrote.
 * @throws JournalStateError as `parseEnvelope`
 */
export function decodeCommand(bytes: Uint8Array): CommandEnvelope {
  return parseEnvelope(readCommand(bytes).envelope);
}
