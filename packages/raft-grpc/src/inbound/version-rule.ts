/** Which versions of the protocol, and of the program, can share a group. Both sides of a connection apply it. */
import type { Hello } from '../gen/raft/v1/raft.ts';

/** The versions of raft.v1 that this package speaks. */
export const PROTOCOL_VERSIONS = { oldest: 1, newest: 1 } as const;

/** The program that embeds the transport. */
export interface SoftwareRelease {
  /** Dotted numbers, as in `1.4.2`; what follows them (`-rc.1`) is shown and not compared. */
  readonly version: string;
  /** The oldest version that can share a group with this one. Of two nodes the newer one's word counts. */
  readonly oldestPeer: string;
}

type Spoken = Pick<Hello, 'nodeId' | 'protocolVersion' | 'oldestProtocolVersion' | 'softwareVersion'> &
  Pick<Hello, 'oldestPeerVersion'>;

/** Why two nodes cannot talk, in words for both of them; undefined where they can. Symmetric. */
export function findVersionMismatch(one: Spoken, other: Spoken): string | undefined {
  const [from, to] = [oldestProtocol(one), oldestProtocol(other)];
  if (from > other.protocolVersion || to > one.protocolVersion) {
    return `node ${one.nodeId} speaks ${range(one)} of the Raft protocol, node ${other.nodeId} ${range(other)}`;
  }
  const order = compareVersions(one.softwareVersion, other.softwareVersion);
  // A program that does not say its version has no rule to apply.
  if (order === undefined || order === 0) return undefined;
  const [newer, older] = order > 0 ? [one, other] : [other, one];
  const distance = compareVersions(older.softwareVersion, newer.oldestPeerVersion);
  if (distance === undefined || distance >= 0) return undefined;
  return (
    `node ${newer.nodeId} runs version ${clip(newer.softwareVersion)}, which shares a group with ` +
    `${clip(newer.oldestPeerVersion)} and later; node ${older.nodeId} runs ${clip(older.softwareVersion)}, ` +
    `so upgrade it to a version in between first`
  );
}

/** Below 0, 0 or above 0 as the first is older, equal or newer; undefined where one of them is no version. */
export function compareVersions(one: string, other: string): number | undefined {
  const [left, right] = [numbersOf(one), numbersOf(other)];
  if (left === undefined || right === undefined) return undefined;
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbersOf(version: string): readonly number[] | undefined {
  const match = /^\d{1,9}(?:\.\d{1,9}){0,3}/.exec(version);
  return match?.[0].split('.').map(Number);
}

function oldestProtocol({ protocolVersion, oldestProtocolVersion }: Spoken): number {
  return oldestProtocolVersion === 0 ? protocolVersion : oldestProtocolVersion;
}

function range(spoken: Spoken): string {
  const oldest = oldestProtocol(spoken);
  const { protocolVersion: newest } = spoken;
  return oldest === newest ? `version ${newest}` : `versions ${oldest} to ${newest}`;
}

/** A peer's text does not fill our log. */
function clip(version: string): string {
  return version.slice(0, 64);
}
