import type { AdminOperationType, DeltaAction, EntryType, PrincipalType } from '@pact-journal/journal-state';
import * as config from '../gen/pact/config.ts';
import { OperationType } from '../gen/pact/journal_admin.ts';
import { WireError } from './errors.ts';

const entryTypes: Readonly<Record<EntryType, config.EntryType>> = {
  Commit: config.EntryType.COMMIT,
  Rollback: config.EntryType.ROLLBACK,
  AutoConverge: config.EntryType.AUTO_CONVERGE,
  DriftDetected: config.EntryType.DRIFT_DETECTED,
  CapabilityChange: config.EntryType.CAPABILITY_CHANGE,
  PolicyUpdate: config.EntryType.POLICY_UPDATE,
  BootConfig: config.EntryType.BOOT_CONFIG,
  EmergencyStart: config.EntryType.EMERGENCY_START,
  EmergencyEnd: config.EntryType.EMERGENCY_END,
  ExecLog: config.EntryType.EXEC_LOG,
  ShellSession: config.EntryType.SHELL_SESSION,
  ServiceLifecycle: config.EntryType.SERVICE_LIFECYCLE,
  PendingApproval: config.EntryType.PENDING_APPROVAL,
};

const deltaActions: Readonly<Record<DeltaAction, config.DeltaAction>> = {
  Add: config.DeltaAction.ADD,
  Remove: config.DeltaAction.REMOVE,
  Modify: config.DeltaAction.MODIFY,
};

const operationTypes: Readonly<Record<AdminOperationType, OperationType>> = {
  Exec: OperationType.EXEC,
  ShellStart: OperationType.SHELL_START,
  ShellEnd: OperationType.SHELL_END,
};

const principalTypes: ReadonlyMap<string, PrincipalType> = new Map([
  ['human', 'Human'],
  ['admin', 'Human'],
  ['agent', 'Agent'],
  ['service', 'Service'],
]);

function invert<Name extends string>(table: Readonly<Record<Name, number>>): ReadonlyMap<number, Name> {
  const names = Object.keys(table) as Name[];
  return new Map(names.map((name) => [table[name], name]));
}

const entryTypeNames = invert(entryTypes);
const deltaActionNames = invert(deltaActions);
const operationTypeNames = invert(operationTypes);

function nameOf<Name>(names: ReadonlyMap<number, Name>, value: number, field: string): Name {
  const name = names.get(value);
  if (name !== undefined) return name;
  if (value === 0) throw new WireError('missing', field, 'must be given');
  throw new WireError('malformed', field, `knows no value ${value}; the known ones are 1 to ${names.size}`);
}

export function entryTypeToWire(type: EntryType): config.EntryType {
  return entryTypes[type];
}

/** Fails with `WireError` for an unspecified or unknown one. */
export function entryTypeFromWire(value: number, field = 'entry_type'): EntryType {
  return nameOf(entryTypeNames, value, field);
}

export function deltaActionToWire(action: DeltaAction): config.DeltaAction {
  return deltaActions[action];
}

/** An unspecified action reads as Modify. Fails with `WireError` for an unknown one. */
export function deltaActionFromWire(value: number, field = 'action'): DeltaAction {
  return value === config.DeltaAction.UNSPECIFIED ? 'Modify' : nameOf(deltaActionNames, value, field);
}

export function operationTypeToWire(type: AdminOperationType): OperationType {
  return operationTypes[type];
}

/** Fails with `WireError` for an unspecified or unknown one. */
export function operationTypeFromWire(value: number, field = 'operation_type'): AdminOperationType {
  return nameOf(operationTypeNames, value, field);
}

/** On the wire a principal's type is a lower-case word. */
export function principalTypeToWire(type: PrincipalType): string {
  return type.toLowerCase();
}

/** Reads `human`, `admin` (a human too), `agent` and `service` in any case. Fails with `WireError` for others. */
export function principalTypeFromWire(value: string, field = 'principal_type'): PrincipalType {
  const type = principalTypes.get(value.toLowerCase());
  if (type !== undefined) return type;
  throw new WireError(
    'malformed',
    field,
    `must be human, admin, agent or service, not ${JSON.stringify(value.slice(0, 40))}`,
  );
}
