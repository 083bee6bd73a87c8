/** Holds a served overlay against its checksum and against what the journal says is declared. */
import { createHash } from 'node:crypto';
import { canonicalJson, DELTA_KINDS, type DeltaItem, type EntrySeq } from '@pact-journal/journal-state';
import { decodeOverlay } from './boot.ts';
import { CliError } from './errors.ts';
import type { JournalClient } from '@pact-journal/journal-client';

export interface VerifiedOverlay {
  readonly vcluster_id: string;
  readonly version: number;
  readonly checksum: string;
  /** Keys of all kinds. */
  readonly keys: number;
  readonly verified: true;
}

/** Fails as damage where the overlay is not what the journal declares as of the overlay's own version. */
export async function verifyOverlay(journal: JournalClient, vclusterId: string): Promise<VerifiedOverlay> {
  const overlay = await journal.overlay(vclusterId);
  const actual = `sha256:${createHash('sha256').update(overlay.data).digest('hex')}`;
  if (actual !== overlay.checksum) {
    throw new CliError(
      'damaged',
      `overlay of ${vclusterId}: its data is ${actual}, announced was ${overlay.checksum}`,
    );
  }
  const content = decodeOverlay(overlay.data);
  const served = new Map(
    DELTA_KINDS.flatMap((kind) => content[kind].map((item) => [nameOf(kind, item.key), textOf(item)])),
  );
  let keys = 0;
  for await (const item of journal.effectiveConfig({ VCluster: vclusterId }, overlay.version as EntrySeq)) {
    keys += 1;
    const name = nameOf(item.kind, item.key);
    const text = served.get(name);
    if (text === undefined) throw damaged(vclusterId, overlay.version, `${name} is declared and missing`);
    if (text !== textOf(item))
      throw damaged(vclusterId, overlay.version, `${name} is ${text}, declared is ${textOf(item)}`);
    served.delete(name);
  }
  const [extra] = served.keys();
  if (extra !== undefined) throw damaged(vclusterId, overlay.version, `${extra} is not declared`);
  return {
    vcluster_id: vclusterId,
    version: overlay.version,
    checksum: overlay.checksum,
    keys,
    verified: true,
  };
}

function nameOf(kind: string, key: string): string {
  return `${kind} ${key}`;
}

/** A key's value and spec, comparable. */
function textOf({ value, spec }: Pick<DeltaItem, 'value' | 'spec'>): string {
  return canonicalJson({ value, ...(spec === undefined ? {} : { spec }) });
}

function damaged(vclusterId: string, version: number, what: string): CliError {
  return new CliError(
    'damaged',
    `overlay of ${vclusterId} at ${String(version)}: ${what}; rebuild it with "pact-journal overlay rebuild ${vclusterId}"`,
  );
}
