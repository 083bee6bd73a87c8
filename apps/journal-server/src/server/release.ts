/** Which versions of this program can share a group. See docs/OPERATIONS.md. */
import type { SoftwareRelease } from '@pact-journal/raft-grpc';

/** To be raised with a release that can no longer share a group with what came before. */
const OLDEST_PEER = '0.1.0';

/** What this node tells its peers; undefined for a program without a version, which takes any peer. */
export function releaseOf(version: string): SoftwareRelease | undefined {
  return /^\d/.test(version) ? { version, oldestPeer: OLDEST_PEER } : undefined;
}
