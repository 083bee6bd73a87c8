/** The same commands every time: commits of 100,000 nodes and 1,000 vClusters, 512 bytes each in the log. */
import { JournalState, encodeCommand } from '@pact-journal/journal-state';
import type { CommandEnvelope, Scope } from '@pact-journal/journal-state';
import { nativeSha256, restoreJournal } from '@pact-journal/journal-state/node';
import type { SnapshotSections } from '@pact-journal/journal-state/node';
import type { Entry, StateMachine } from '@pact-journal/raft-core';

export const ENTRY_SIZE_BYTES = 512;

export const VCLUSTERS = 1_000;
export const NODES = 100_000;

export const vclusterId = (index: number): string => `vcluster-${String(index % VCLUSTERS).padStart(4, '0')}`;
export const nodeId = (index: number): string => `node-${String(index % NODES).padStart(6, '0')}`;

/** The `index`th command: nine of ten commit to a node, one to a vCluster. */
export function envelope(index: number, message: string): CommandEnvelope {
  const random = Math.imul(index + 1, 0x9e37_79b1) >>> 0;
  const scope: Scope = index % 10 === 0 ? { VCluster: vclusterId(random) } : { Node: nodeId(random) };
  const item = {
    action: 'Modify' as const,
    key: `vm.parameter.${random % 40}`,
    previous: null,
    value: String(random),
  };
  const none = { files: [], gpu: [], mounts: [], network: [], packages: [], services: [] };
  return {
    command: {
      type: 'AppendEntry',
      entry: {
        author: {
          principal: `operator-${random % 200}`,
          principal_type: 'Human',
          role: 'pact-platform-admin',
        },
        emergency_reason: null,
        entry_type: 'Commit',
        message,
        parent: null,
        policy_ref: null,
        scope,
        state_delta: { ...none, kernel: [item] },
        ttl_seconds: null,
      },
    },
    request_id: `request-${index}`,
    time: '2026-11-24T08:00:00.000Z',
  };
}

/** The `index`th command as it is proposed. */
export function command(index: number): Uint8Array {
  const short = encodeCommand(envelope(index, ''));
  return encodeCommand(envelope(index, 'x'.repeat(Math.max(0, ENTRY_SIZE_BYTES - short.length))));
}

/** The journal as a state machine, as the server has it. */
export class JournalMachine implements StateMachine<unknown> {
  state = new JournalState({ sha256: nativeSha256 });

  apply(entries: readonly Entry[]): readonly unknown[] {
    return entries.map((entry) => this.state.applyBytes(entry.data).result);
  }

  snapshot(): ReturnType<JournalState['snapshot']> {
    return this.state.snapshot();
  }

  async restore(sections: SnapshotSections): Promise<void> {
    this.state = await restoreJournal(sections);
  }
}
