/** Readers of a snapshot's records, apart from entries and operations, which their hashes prove. */
import { REQUEST_ID_LENGTH_MAX, TEXT_SIZE_BYTES_MAX } from '../limits.ts';
import { CONFIG_STATES, parseCursor } from '../parse/command.ts';
import { entrySeq, id, integer, oneOf, record, refuse, text, timestamp } from '../parse/fields.ts';
import type { JsonRecord } from '../parse/fields.ts';
import type { Assignment, NodeRecord } from '../tables/nodes.ts';
import type { RequestRecord } from '../tables/requests.ts';
import { FIRST_TIME } from '../tables/tables.ts';
import { VALIDATION_CODES } from '../types.ts';
import type { CommandResult } from '../types.ts';
import type { SnapshotSummary } from './capture.ts';

const count = (value: unknown, path: string): number => integer(value, path, 0, Number.MAX_SAFE_INTEGER);

export function parseSummary(json: JsonRecord): SnapshotSummary {
  const { cursors = [] } = json;
  if (!Array.isArray(cursors)) return refuse('cursors', 'an array', cursors);
  return {
    clock: json['clock'] === FIRST_TIME ? FIRST_TIME : timestamp(json['clock'], 'clock'),
    ...(cursors.length === 0 ? {} : { cursors: cursors.map((cursor: unknown) => parseCursor(cursor)) }),
    digest: text(json['digest'], 'digest', 128),
    entries: count(json['entries'], 'entries'),
    format: count(json['format'], 'format'),
    nodes: count(json['nodes'], 'nodes'),
    nodes_changes: count(json['nodes_changes'], 'nodes_changes'),
    operations: count(json['operations'], 'operations'),
    overlays: count(json['overlays'], 'overlays'),
    requests_total: count(json['requests_total'], 'requests_total'),
  };
}

function parseAssignment(json: unknown, path: string): Assignment {
  const fields = record(json, path, ['at', 'vcluster_id']);
  const vcluster = fields['vcluster_id'];
  return {
    at: count(fields['at'], `${path}.at`),
    vcluster_id: vcluster === null ? null : id(vcluster, `${path}.vcluster_id`),
  };
}

export function parseNodeRecord(json: JsonRecord): NodeRecord {
  const fields = record(json, 'node', ['assignments', 'node_id', 'state']);
  const assignments = fields['assignments'];
  if (!Array.isArray(assignments)) return refuse('node.assignments', 'an array', assignments);
  return {
    node_id: id(fields['node_id'], 'node.node_id'),
    state: oneOf(fields['state'], 'node.state', CONFIG_STATES),
    assignments: assignments.map((item: unknown) => parseAssignment(item, 'node.assignments')),
  };
}

function parseResult(json: unknown): CommandResult {
  const fields = record(json, 'result', ['type', 'sequence', 'code', 'reason']);
  const type = oneOf(fields['type'], 'result.type', ['Ok', 'EntryAppended', 'ValidationError']);
  switch (type) {
    case 'Ok':
      return { type };
    case 'EntryAppended':
      return { type, sequence: entrySeq(count(fields['sequence'], 'result.sequence')) };
    case 'ValidationError':
      return {
        type,
        code: oneOf(fields['code'], 'result.code', VALIDATION_CODES),
        reason: text(fields['reason'], 'result.reason', TEXT_SIZE_BYTES_MAX),
      };
  }
}

export function parseRequestRecord(json: JsonRecord): RequestRecord {
  const fields = record(json, 'request', ['request_id', 'result']);
  const requestId = text(fields['request_id'], 'request.request_id', REQUEST_ID_LENGTH_MAX * 3);
  return { request_id: requestId, result: parseResult(fields['result']) };
}
