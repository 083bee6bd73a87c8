/** Alarms that are read off the present state instead of being raised and cleared. */
import { formatScope, type JournalState } from '@pact-journal/journal-state';
import type { Alarm } from './alarms.ts';
import type { CertificateFacts, DiskFacts } from './facts.ts';

const DAY_MS = 86_400_000;
/** A month is enough to have a certificate renewed by people. */
const CERTIFICATE_DAYS_MIN = 30;
/** Below both, a snapshot and a burst of writes could fill the disk before anybody has looked. */
const FREE_BYTES_MIN = 2 * 2 ** 30;
const FREE_SHARE_MIN = 0.1;

/** Emergencies are never ended automatically: whoever looks at the status is reminded. */
export function staleEmergencies(emergencies: ReturnType<JournalState['emergencies']>): readonly Alarm[] {
  return emergencies
    .filter(({ stale }) => stale)
    .map(({ scope, sequence, author, window_ends_at }) => ({
      code: 'staleEmergency',
      message: `the emergency of ${formatScope(scope)} that ${author.principal} started with entry ${String(sequence)} has outlived its window; end it`,
      since: new Date(window_ends_at),
    }));
}

/** Little room on the file system: a node whose disk is full stops. */
export class DiskWatch {
  #sinceMs: number | undefined;

  /** An alarm has the time at which room was first found to be scarce, until it no longer is. */
  alarms(disk: DiskFacts | undefined, nowMs: number): readonly Alarm[] {
    if (disk === undefined || !isScarce(disk)) {
      this.#sinceMs = undefined;
      return [];
    }
    this.#sinceMs ??= nowMs;
    const free = `${String(Math.floor(disk.freeBytes / 2 ** 20))} MiB`;
    const message = `${free} are left for ${disk.dataDir}; make room, because a node whose disk is full stops`;
    return [{ code: 'diskLow', message, since: new Date(this.#sinceMs) }];
  }
}

function isScarce({ freeBytes, totalBytes }: DiskFacts): boolean {
  return freeBytes < FREE_BYTES_MIN && freeBytes < FREE_SHARE_MIN * totalBytes;
}

/** Certificates that run out within a month, or have. */
export function endingCertificates(
  certificates: readonly CertificateFacts[],
  nowMs: number,
): readonly Alarm[] {
  return certificates.flatMap(({ purpose, subject, path, notAfter }): readonly Alarm[] => {
    const days = Math.floor((notAfter.getTime() - nowMs) / DAY_MS);
    if (days >= CERTIFICATE_DAYS_MIN) return [];
    const when = days < 0 ? 'has run out' : `runs out in ${String(days)} days`;
    const message = `the ${purpose} certificate of ${subject} in ${path} ${when} (${notAfter.toISOString()}); renew it`;
    const since = new Date(notAfter.getTime() - CERTIFICATE_DAYS_MIN * DAY_MS);
    return [{ code: 'certificateEnds', message, since }];
  });
}
