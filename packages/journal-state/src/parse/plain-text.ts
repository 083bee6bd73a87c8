/**
 * Reads the JSON of nearly all commands and entries several times as fast as by parsing it.
 *
 * Plain is here what appends an entry that does nothing but declare keys, or nothing at all, written as canonical JSON.
 * Such a text matches one regular expression, and the match is proof: a quote inside of a JSON string is always escaped,
 * so each field can only be where canonical JSON has it, whatever people write into their messages. What is read is
 * what `JSON.parse` gives, and what stood in the text can stand in other canonical JSON. All else is to be parsed.
 */
import { DELTA_KINDS } from '../types.ts';
import type { ConfigEntry, DeltaAction, DeltaItem, EntryType, Scope, StateDelta } from '../types.ts';
import { EMPTY_DELTA } from './delta.ts';
import { ENTRY_TYPES, PRINCIPAL_TYPES, changesConfiguration } from './entry.ts';
import { entrySeq } from './fields.ts';
import type { JsonRecord } from './fields.ts';

/** Longer texts are rare, and how much memory a match takes must not depend on who sends them. */
const LENGTH_MAX = 64 * 1024;

/** Types of which nothing follows but what they declare. */
const PLAIN_TYPES = ENTRY_TYPES.filter(
  (type) => !['Rollback', 'PolicyUpdate', 'EmergencyStart', 'EmergencyEnd', 'PendingApproval'].includes(type),
);

// -- the expressions --------------------------------------------------------------------------------------------

const UNESCAPED = String.raw`[^"\\\u0000-\u001f\ud800-\udfff]*`;
/** As `JSON.stringify` writes it: with the short form of an escape where there is one. */
const ESCAPED = String.raw`\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))`;
const CONTENT = `${UNESCAPED}(?:${ESCAPED}${UNESCAPED})*`;
const TEXT = `"${CONTENT}"`;
const TEXT_OR_NULL = `null|${TEXT}`;
const NUMBER = '0|[1-9][0-9]{0,14}';

const item = (action: string, key: string, value: string): string =>
  String.raw`\{"action":"${action}","key":"${key}","previous":${value},"value":${value}\}`;
const ITEM = item('(?:Add|Modify|Remove)', CONTENT, `(?:${TEXT_OR_NULL})`);
const ITEM_PARTS = new RegExp(item('(Add|Modify|Remove)', `(${CONTENT})`, `(${TEXT_OR_NULL})`), 'y');

const SORTED_KINDS = DELTA_KINDS.toSorted();
const ITEMS = SORTED_KINDS.map((kind) => String.raw`"${kind}":\[((?:${ITEM}(?:,${ITEM})*)?)\]`);
/** Captures the items of each kind. */
const DELTA = String.raw`\{${ITEMS.join(',')}\}`;

/** How a group begins that is captured, or only where a command needs it. */
type Opening = '(' | '(?:';

/** Captures principal and entry's type; on demand the principal's type, role and emergency reason in between. */
const beforeHash = (asked: Opening): string =>
  String.raw`\{"author":\{"principal":"(${CONTENT})","principal_type":"${asked}${PRINCIPAL_TYPES.join('|')})","role":"${asked}${CONTENT})"\},"emergency_reason":${asked}${TEXT_OR_NULL}),"entry_type":"(${PLAIN_TYPES.join('|')})"`;
/** Captures kind and name of the scope; on demand before them message, all that follows it, parent and policy. */
const beforeSequence = (asked: Opening): string =>
  String.raw`(?:,"message":${asked}${TEXT}))?${asked},"parent":${asked}null|${NUMBER}),"policy_ref":${asked}${TEXT_OR_NULL}),"scope":(?:"Global"|\{"(Node|VCluster)":"(${CONTENT})"\}))`;

const COMMAND = new RegExp(
  String.raw`^\{"command":\{"entry":(${beforeHash('(')})${beforeSequence('(')},"state_delta":(null|${DELTA}),"ttl_seconds":null\},"type":"AppendEntry"\},(?:"request_id":"(${CONTENT})",)?"time":"(${CONTENT})"\}$`,
);
/** Takes any delta: an entry is only believed with the right hash, which says that a journal wrote it. */
const ENTRY = new RegExp(
  String.raw`^${beforeHash('(?:')},"hash":"(${CONTENT})"${beforeSequence('(?:')},"sequence":(${NUMBER}),"state_delta":(?:null|${DELTA}|(\{[^]*\})),"timestamp":"${CONTENT}","ttl_seconds":null\}$`,
);

/** Where the expressions capture what. By number: names would cost more than the match. */
const IN_COMMAND = {
  beforeHash: 1,
  principal: 2,
  principalType: 3,
  role: 4,
  reason: 5,
  type: 6,
  message: 7,
  afterMessage: 8,
  parent: 9,
  policyRef: 10,
  scopeKind: 11,
  scopeName: 12,
  delta: 13,
  items: 14,
  requestId: 21,
  time: 22,
} as const;
const IN_ENTRY = {
  principal: 1,
  type: 2,
  hash: 3,
  scopeKind: 4,
  scopeName: 5,
  sequence: 6,
  items: 7,
  otherDelta: 14,
} as const;

// -- commands ---------------------------------------------------------------------------------------------------

/** The parts of an entry's canonical JSON between which the journal puts what it adds. */
export interface EntryText {
  /** Up to the comma before `hash`. */
  readonly beforeHash: string;
  /** From the comma after `hash` up to the one before `sequence`. */
  readonly beforeSequence: string;
  /** The value of `state_delta`; `timestamp` and a `ttl_seconds` of null follow. */
  readonly stateDelta: string;
}

export interface PlainCommand {
  /** What `JSON.parse` gives; a field that is not there may be undefined. Not checked yet. */
  readonly envelope: JsonRecord;
  /** Of the entry in its normal form, where that is not refused. */
  readonly entryText: EntryText;
}

/** The plain command that the text is; undefined where it is another one. */
export function readPlainCommand(text: string): PlainCommand | undefined {
  const found = text.length > LENGTH_MAX ? null : COMMAND.exec(text);
  if (found === null) return undefined;
  const entry = readNewEntry(found, contentReader(text));
  const message = found[IN_COMMAND.message];
  const afterMessage = found[IN_COMMAND.afterMessage] ?? '';
  const requestId = found[IN_COMMAND.requestId];
  return {
    envelope: {
      command: { entry, type: 'AppendEntry' },
      request_id: requestId === undefined ? undefined : ownText(requestId),
      time: ownText(found[IN_COMMAND.time]),
    },
    entryText: {
      beforeHash: found[IN_COMMAND.beforeHash] ?? '',
      // An empty message is none.
      beforeSequence:
        message === undefined || message === '""' ? afterMessage : `,"message":${message}${afterMessage}`,
      stateDelta: found[IN_COMMAND.delta] ?? 'null',
    },
  };
}

function readNewEntry(found: RegExpExecArray, read: ContentReader): JsonRecord {
  const parent = found[IN_COMMAND.parent];
  const message = found[IN_COMMAND.message];
  return {
    author: {
      principal: read(found[IN_COMMAND.principal]),
      principal_type: found[IN_COMMAND.principalType],
      role: read(found[IN_COMMAND.role]),
    },
    emergency_reason: readTextOrNull(found[IN_COMMAND.reason]),
    entry_type: found[IN_COMMAND.type],
    message: message === undefined ? undefined : readTextOrNull(message),
    parent: parent === 'null' ? null : Number(parent),
    policy_ref: readTextOrNull(found[IN_COMMAND.policyRef]),
    scope: readScope(found[IN_COMMAND.scopeKind], read(found[IN_COMMAND.scopeName])),
    state_delta: found[IN_COMMAND.delta] === 'null' ? null : readDelta(found, IN_COMMAND.items, read),
    ttl_seconds: null,
  };
}

// -- entries ----------------------------------------------------------------------------------------------------

/** What the state follows from, of an entry that does nothing but declare keys, or nothing at all. */
export interface EntryFacts extends Pick<
  ConfigEntry,
  'sequence' | 'entry_type' | 'scope' | 'state_delta' | 'parent' | 'hash'
> {
  readonly principal: string;
}

/**
 * The facts of a plain entry, given as its canonical JSON; undefined where it is another one. Only to be believed once
 * the entry's hash is known to be right. Throws a SyntaxError where a delta is not JSON.
 */
export function readEntryFacts(text: string): EntryFacts | undefined {
  const found = text.length > LENGTH_MAX ? null : ENTRY.exec(text);
  if (found === null) return undefined;
  const read = contentReader(text);
  // The expression names them.
  const entry_type = found[IN_ENTRY.type] as EntryType;
  return {
    principal: read(found[IN_ENTRY.principal]),
    hash: found[IN_ENTRY.hash] ?? '',
    entry_type,
    scope: readScope(found[IN_ENTRY.scopeKind], read(found[IN_ENTRY.scopeName])),
    sequence: entrySeq(Number(found[IN_ENTRY.sequence])),
    state_delta: changesConfiguration(entry_type) ? declaredDelta(found, read) : null,
    parent: null,
  };
}

function declaredDelta(found: RegExpExecArray, read: ContentReader): StateDelta | null {
  const other = found[IN_ENTRY.otherDelta];
  if (other !== undefined) return JSON.parse(other) as StateDelta;
  return found[IN_ENTRY.items] === undefined ? null : readDelta(found, IN_ENTRY.items, read);
}

// -- both -------------------------------------------------------------------------------------------------------

/** What the content of a JSON string, without its quotes, stands for. May be a part of the text. */
type ContentReader = (content: string | undefined) => string;

/** For the contents of this text's strings. */
function contentReader(text: string): ContentReader {
  return text.includes('\\') ? ownText : asItStands;
}

const asItStands: ContentReader = (content = '') => content;

/** In memory of its own: a part of the text would keep all of that for as long as it is kept itself. */
function ownText(content: string | undefined): string {
  return String(JSON.parse(`"${content ?? ''}"`));
}

/** A string, with its quotes, in memory of its own. */
function readTextOrNull(json: string | undefined): string | null {
  return json === undefined || json === 'null' ? null : String(JSON.parse(json));
}

function readScope(kind: string | undefined, name: string): Scope {
  if (kind === undefined) return 'Global';
  return kind === 'Node' ? { Node: name } : { VCluster: name };
}

/** The kinds in canonical order, as they were captured from `first` on. Written out: it is read a million times. */
function readDelta(found: RegExpExecArray, first: number, read: ContentReader): StateDelta {
  return {
    files: readItems(found[first], read),
    gpu: readItems(found[first + 1], read),
    kernel: readItems(found[first + 2], read),
    mounts: readItems(found[first + 3], read),
    network: readItems(found[first + 4], read),
    packages: readItems(found[first + 5], read),
    services: readItems(found[first + 6], read),
  };
}

function readItems(text: string | undefined, read: ContentReader): readonly DeltaItem[] {
  if (text === undefined || text === '') return EMPTY_DELTA.kernel;
  const items: DeltaItem[] = [];
  for (let at = 0; at < text.length; at = ITEM_PARTS.lastIndex + 1) {
    ITEM_PARTS.lastIndex = at;
    const found = ITEM_PARTS.exec(text);
    if (found === null) break;
    items.push({
      // The expression names them.
      action: found[1] as DeltaAction,
      key: read(found[2]),
      previous: readTextOrNull(found[3]),
      value: readTextOrNull(found[4]),
    });
  }
  return items;
}
