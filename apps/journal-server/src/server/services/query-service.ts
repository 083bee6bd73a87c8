/** JournalQueryService: questions to the local replica's state. */
import {
  effectiveItemToWire,
  entryTypeFromWire,
  identityToWire,
  journal,
  journalEntryToWire,
  deltaKindFromWire,
  newEntryFromWire,
  optionalScopeFromWire,
  scopeFromWire,
  scopeToWire,
  stateDeltaToWire,
  timestampToWire,
} from '@pact-journal/journal-proto';
import {
  DELTA_KINDS,
  diffConfigs,
  emptyDelta,
  type ConfigEntry,
  type EffectiveConfig,
  type EmergencyStatus,
  type EntryFilter,
  type EntrySeq,
  type JournalState,
  type KeyChange,
  type Scope,
} from '@pact-journal/journal-state';
import { bounds, noEntry } from './config-service.ts';
import { notFound, requiredId, type ServiceContext } from './context.ts';
import { map, pages } from './pages.ts';
import { previewEntry } from './preview.ts';

const methods = journal.JournalQueryServiceDefinition;
const ENTRY_LIMITS = { items: 256, bytes: 1024 * 1024 } as const;
const ITEMS_PER_MESSAGE = 2_000;

export function queryService({
  rpc,
  journal: state,
  now,
}: ServiceContext): journal.JournalQueryServiceServer {
  return {
    getJournalEntry: rpc.unary(methods.getJournalEntry, ({ sequence }) => {
      const entry = state().entry(sequence as EntrySeq);
      if (entry === undefined) throw notFound(noEntry(sequence, state().entryCount));
      return { entry: journalEntryToWire(entry) };
    }),
    listJournalEntries: rpc.stream(methods.listJournalEntries, (request) =>
      map(entryPages(state().entries(filterOf(request))), (entries) => ({ entries })),
    ),
    getEffectiveConfig: rpc.stream(methods.getEffectiveConfig, ({ scope, asOf }) => {
      const now = state();
      const latest = now.entryCount === 0 ? undefined : now.entryCount - 1;
      const config = configOf(now, scopeFromWire(scope), asOf);
      const items = effectiveItems(now, config);
      const answered = asOf ?? latest;
      const messages = map(pages(items, { items: ITEMS_PER_MESSAGE }), (page) => ({
        items: page,
        asOf: answered,
      }));
      return orOne(messages, { items: [], asOf: answered });
    }),
    diff: rpc.unary(methods.diff, (request) => {
      const left = configOf(state(), scopeFromWire(request.leftScope, 'left_scope'), request.leftAsOf);
      const right = configOf(state(), scopeFromWire(request.rightScope, 'right_scope'), request.rightAsOf);
      return { delta: stateDeltaToWire(diffConfigs(left, right)) };
    }),
    getHistory: rpc.stream(methods.getHistory, ({ kind, key, scope, limit }) => {
      const deltaKind = deltaKindFromWire(kind);
      const changes = state().history(deltaKind, requiredId(key, 'key'), optionalScopeFromWire(scope));
      const newest = limit === undefined ? changes : changes.slice(Math.max(0, changes.length - limit));
      const found = map(newest, (change) => entryOfChange(state(), deltaKind, key, change));
      return map(entryPages(found), (entries) => ({ entries }));
    }),
    previewEntry: rpc.unary(methods.previewEntry, ({ entry }) => {
      const preview = previewEntry(state(), newEntryFromWire(entry));
      return { ...preview, delta: stateDeltaToWire(preview.delta) };
    }),
    listEmergencies: rpc.unary(methods.listEmergencies, ({ staleOnly }) => {
      const found = state().emergencies(now());
      return { emergencies: found.filter(({ stale }) => stale || !staleOnly).map(emergencyToWire) };
    }),
  };
}

function filterOf(request: journal.ListJournalEntriesRequest): EntryFilter {
  const scope = optionalScopeFromWire(request.scope);
  const types = request.entryTypes.map((type) => entryTypeFromWire(type, 'entry_types'));
  return {
    ...(scope === undefined ? {} : { scope }),
    ...(types.length === 0 ? {} : { entry_types: types }),
    ...(request.author === undefined ? {} : { author: request.author }),
    ...bounds(request.fromSequence, request.toSequence, request.limit),
  };
}

/** Entries in messages of a bounded size. */
function entryPages(entries: Iterable<ConfigEntry>): Iterable<journal.JournalEntry[]> {
  return map(pages(entries, ENTRY_LIMITS, roughSize), (page) => page.map(journalEntryToWire));
}

function roughSize({ state_delta: delta }: ConfigEntry): number {
  if (delta === null) return 512;
  return DELTA_KINDS.reduce((sum, kind) => sum + 160 * delta[kind].length, 512);
}

/** A scope's configuration now, or as of right after an entry. */
function configOf(state: JournalState, scope: Scope, asOf: number | undefined): EffectiveConfig {
  return asOf === undefined ? state.effectiveConfig(scope) : state.effectiveConfigAt(scope, asOf as EntrySeq);
}

function* effectiveItems(state: JournalState, config: EffectiveConfig): Generator<journal.EffectiveItem> {
  const entries = new Map<EntrySeq, Pick<ConfigEntry, 'timestamp' | 'author'>>();
  for (const kind of DELTA_KINDS) {
    for (const [key, { value, spec, set_by }] of config[kind]) {
      const entry = entries.get(set_by) ?? state.entry(set_by);
      if (entry === undefined)
        throw new Error(`assertion failed: ${kind} ${key} was set by an entry that exists`);
      entries.set(set_by, entry);
      const set = { set_by, set_at: entry.timestamp, set_author: entry.author };
      yield effectiveItemToWire({ kind, key, value, ...set, ...(spec === undefined ? {} : { spec }) });
    }
  }
}

/** The entry, with nothing in its delta but what became of the key. A scope that no longer says anything removes it. */
function entryOfChange(
  state: JournalState,
  kind: (typeof DELTA_KINDS)[number],
  key: string,
  change: KeyChange,
): ConfigEntry {
  const entry = state.entry(change.sequence);
  if (entry === undefined) throw new Error(`assertion failed: entry ${String(change.sequence)} exists`);
  const item = {
    action: change.action === 'Unset' ? ('Remove' as const) : change.action,
    key,
    value: change.value,
    previous: null,
    ...(change.spec === undefined ? {} : { spec: change.spec }),
  };
  return { ...entry, state_delta: { ...emptyDelta(), [kind]: [item] } };
}

function emergencyToWire(emergency: EmergencyStatus): journal.Emergency {
  return {
    sequence: emergency.sequence,
    scope: scopeToWire(emergency.scope),
    author: identityToWire(emergency.author),
    reason: emergency.reason ?? '',
    startedAt: timestampToWire(emergency.started_at),
    windowEndsAt: timestampToWire(emergency.window_ends_at),
    stale: emergency.stale,
  };
}

/** The items, or the one given where there are none: an empty answer says as of when it is empty. */
function* orOne<Item>(items: Iterable<Item>, otherwise: Item): Generator<Item> {
  let some = false;
  for (const item of items) {
    some = true;
    yield item;
  }
  if (!some) yield otherwise;
}
