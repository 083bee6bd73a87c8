/**
 * The fielded services, held against a table of their own: the generated descriptors must have exactly these names,
 * numbers and types. Notation: `name=number type`, `?` optional, `*` repeated, `|` member of the oneof.
 */
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { fileDescriptorSet } from '../src/index.ts';

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, fileDescriptorSet()));

const messages: Readonly<Record<string, string>> = {
  'pact.config.ConfigEntry':
    'sequence=1 uint64; timestamp=2 google.protobuf.Timestamp; entry_type=3 pact.config.EntryType; scope=4 pact.config.Scope; author=5 pact.config.Identity; parent=6 ?uint64; state_delta=7 pact.config.StateDelta; policy_ref=8 string; ttl=9 ?google.protobuf.Duration; emergency_reason=10 ?string',
  'pact.config.Scope': 'node_id=1 |string; vcluster_id=2 |string; global=3 |bool',
  'pact.config.Identity': 'principal=1 string; principal_type=2 string; role=3 string',
  'pact.config.StateDelta':
    'mounts=1 *pact.config.MountDelta; files=2 *pact.config.FileDelta; network=3 *pact.config.NetworkDelta; services=4 *pact.config.ServiceDelta; kernel=5 *pact.config.KernelDelta; packages=6 *pact.config.PackageDelta; gpu=7 *pact.config.GpuDelta',
  'pact.config.MountDelta':
    'path=1 string; action=2 pact.config.DeltaAction; declared=3 ?pact.config.MountSpec; actual=4 ?pact.config.MountSpec',
  'pact.config.MountSpec': 'fs_type=1 string; source=2 string; options=3 string; read_only=4 bool',
  'pact.config.FileDelta':
    'path=1 string; action=2 pact.config.DeltaAction; content_hash=3 ?string; mode=4 ?uint32; owner=5 ?string; previous=100 ?string',
  'pact.config.NetworkDelta':
    'interface=1 string; action=2 pact.config.DeltaAction; detail=3 ?string; previous=100 ?string',
  'pact.config.ServiceDelta':
    'name=1 string; action=2 pact.config.DeltaAction; declared_state=3 ?string; actual_state=4 ?string',
  'pact.config.KernelDelta':
    'key=1 string; action=2 pact.config.DeltaAction; declared_value=3 ?string; actual_value=4 ?string',
  'pact.config.PackageDelta':
    'name=1 string; action=2 pact.config.DeltaAction; version=3 ?string; previous=100 ?string',
  'pact.config.GpuDelta':
    'gpu_index=1 uint32; action=2 pact.config.DeltaAction; detail=3 ?string; previous=100 ?string',
  'pact.journal.AppendEntryRequest': 'entry=1 pact.config.ConfigEntry',
  'pact.journal.AppendEntryResponse': 'sequence=1 uint64',
  'pact.journal.GetEntryRequest': 'sequence=1 uint64',
  'pact.journal.GetNodeStateRequest': 'node_id=1 string',
  'pact.journal.NodeStateResponse': 'node_id=1 string; config_state=2 string',
  'pact.journal.ListEntriesRequest':
    'scope=1 pact.config.Scope; from_sequence=2 ?uint64; to_sequence=3 ?uint64; limit=4 ?uint32',
  'pact.journal.GetOverlayRequest': 'vcluster_id=1 string',
  'pact.journal.OverlayResponse': 'vcluster_id=1 string; version=2 uint64; data=3 bytes; checksum=4 string',
  'pact.stream.BootConfigRequest': 'node_id=1 string; vcluster_id=2 string; last_known_version=3 ?uint64',
  'pact.stream.ConfigChunk':
    'base_overlay=1 |pact.stream.OverlayChunk; node_delta=2 |pact.stream.NodeDelta; complete=3 |pact.stream.ConfigComplete',
  'pact.stream.OverlayChunk':
    'version=1 uint64; vcluster_id=2 string; data=3 bytes; chunk_index=4 uint32; total_chunks=5 uint32; checksum=6 string',
  'pact.stream.NodeDelta': 'node_id=1 string; version=2 uint64; data=3 bytes; checksum=4 string',
  'pact.stream.ConfigComplete':
    'base_version=1 uint64; node_version=2 uint64; timestamp=3 google.protobuf.Timestamp',
  'pact.stream.SubscribeRequest': 'node_id=1 string; vcluster_id=2 string; from_sequence=3 uint64',
  'pact.stream.ConfigUpdate':
    'sequence=1 uint64; timestamp=2 google.protobuf.Timestamp; vcluster_change=3 |bytes; node_change=4 |bytes; policy_change=5 |bytes; blacklist_change=6 |bytes',
  'pact.policy.PolicyEvalRequest':
    'author=1 pact.config.Identity; scope=2 pact.config.Scope; action=3 string; proposed_change=4 ?pact.config.StateDelta; command=5 ?string',
  'pact.policy.PolicyEvalResponse':
    'authorized=1 bool; policy_ref=2 string; denial_reason=3 ?string; approval=4 ?pact.policy.ApprovalRequired',
  'pact.policy.ApprovalRequired': 'approval_type=1 string; pending_approval_id=2 string',
  'pact.policy.GetPolicyRequest': 'vcluster_id=1 string',
  'pact.policy.VClusterPolicy':
    'vcluster_id=1 string; policy_id=2 string; updated_at=3 google.protobuf.Timestamp; drift_sensitivity=4 double; base_commit_window_seconds=5 uint32; emergency_window_seconds=6 uint32; auto_converge_categories=7 *string; require_ack_categories=8 *string; enforcement_mode=9 string; role_bindings=10 *pact.policy.RoleBinding; regulated=11 bool; two_person_approval=12 bool; audit_retention_days=13 uint32; federation_template=14 ?string; supervisor_backend=15 string; exec_whitelist=16 *string; shell_whitelist=17 *string; emergency_allowed=18 bool; ai_exec_allowed=19 bool',
  'pact.policy.RoleBinding': 'role=1 string; principals=2 *string; allowed_actions=3 *string',
  'pact.policy.UpdatePolicyRequest':
    'vcluster_id=1 string; policy=2 pact.policy.VClusterPolicy; author=3 pact.config.Identity; message=4 string',
  'pact.policy.UpdatePolicyResponse': 'success=1 bool; policy_ref=2 string; error=3 ?string',
  'pact.policy.ListApprovalsRequest': 'scope_filter=1 ?string',
  'pact.policy.ListApprovalsResponse': 'approvals=1 *pact.policy.PendingApprovalEntry',
  'pact.policy.PendingApprovalEntry':
    'approval_id=1 string; action=2 string; scope=3 string; requester=4 string; status=5 string; created_at=6 google.protobuf.Timestamp; expires_at=7 google.protobuf.Timestamp',
  'pact.policy.DecideApprovalRequest':
    'approval_id=1 string; approver=2 pact.config.Identity; decision=3 string; reason=4 ?string',
  'pact.policy.DecideApprovalResponse': 'success=1 bool; error=2 ?string',
};

const services: Readonly<Record<string, string>> = {
  'pact.journal.ConfigService':
    'AppendEntry(AppendEntryRequest) AppendEntryResponse; GetEntry(GetEntryRequest) ConfigEntry; GetNodeState(GetNodeStateRequest) NodeStateResponse; ListEntries(ListEntriesRequest) stream ConfigEntry; GetOverlay(GetOverlayRequest) OverlayResponse',
  'pact.stream.BootConfigService':
    'StreamBootConfig(BootConfigRequest) stream ConfigChunk; SubscribeConfigUpdates(SubscribeRequest) stream ConfigUpdate',
  'pact.policy.PolicyService':
    'Evaluate(PolicyEvalRequest) PolicyEvalResponse; GetEffectivePolicy(GetPolicyRequest) VClusterPolicy; UpdatePolicy(UpdatePolicyRequest) UpdatePolicyResponse; ListPendingApprovals(ListApprovalsRequest) ListApprovalsResponse; DecideApproval(DecideApprovalRequest) DecideApprovalResponse',
};

const enums: Readonly<Record<string, string>> = {
  'pact.config.EntryType':
    'ENTRY_TYPE_UNSPECIFIED=0 ENTRY_TYPE_COMMIT=1 ENTRY_TYPE_ROLLBACK=2 ENTRY_TYPE_AUTO_CONVERGE=3 ENTRY_TYPE_DRIFT_DETECTED=4 ENTRY_TYPE_CAPABILITY_CHANGE=5 ENTRY_TYPE_POLICY_UPDATE=6 ENTRY_TYPE_BOOT_CONFIG=7 ENTRY_TYPE_EMERGENCY_START=8 ENTRY_TYPE_EMERGENCY_END=9 ENTRY_TYPE_EXEC_LOG=10 ENTRY_TYPE_SHELL_SESSION=11 ENTRY_TYPE_SERVICE_LIFECYCLE=12 ENTRY_TYPE_PENDING_APPROVAL=13',
  'pact.config.DeltaAction':
    'DELTA_ACTION_UNSPECIFIED=0 DELTA_ACTION_ADD=1 DELTA_ACTION_REMOVE=2 DELTA_ACTION_MODIFY=3',
};

const scalarNames: Readonly<Record<number, string>> = {
  1: 'double',
  4: 'uint64',
  8: 'bool',
  9: 'string',
  12: 'bytes',
  13: 'uint32',
};

function typeOf(field: DescField): string {
  const element = field.fieldKind === 'list' ? field.listKind : field.fieldKind;
  if (element === 'message') return field.message?.typeName ?? '?';
  if (element === 'enum') return field.enum?.typeName ?? '?';
  return scalarNames[field.scalar ?? 0] ?? `scalar ${field.scalar}`;
}

function describeField(field: DescField): string {
  const mark = field.fieldKind === 'list' ? '*' : field.oneof ? '|' : field.proto.proto3Optional ? '?' : '';
  return `${field.name}=${field.number} ${mark}${typeOf(field)}`;
}

function describeMessage(message: DescMessage): string {
  return message.fields.map(describeField).join('; ');
}

describe('the fielded wire contract', () => {
  it.each(Object.entries(messages))('message %s', (name, expected) => {
    const message = registry.getMessage(name);
    expect(message && describeMessage(message)).toBe(expected);
  });

  it.each(Object.entries(enums))('enum %s', (name, expected) => {
    expect(
      registry
        .getEnum(name)
        ?.values.map((value) => `${value.name}=${value.number}`)
        .join(' '),
    ).toBe(expected);
  });

  it.each(Object.entries(services))('service %s', (name, expected) => {
    const methods = registry.getService(name)?.methods.map((method) => {
      const stream = method.methodKind === 'server_streaming' ? 'stream ' : '';
      return `${method.name}(${method.input.name}) ${stream}${method.output.name}`;
    });
    expect(methods?.join('; ')).toBe(expected);
  });

  it('every message, enum and service of config, stream and policy is in the tables', () => {
    const known = new Set([...Object.keys(messages), ...Object.keys(enums), ...Object.keys(services)]);
    const found = [...registry]
      .filter((type) => type.kind !== 'extension' && /^pact\.(config|stream|policy)\./.test(type.typeName))
      .map((type) => ('typeName' in type ? type.typeName : ''));
    expect(found.filter((name) => !known.has(name))).toEqual([]);
  });
});
