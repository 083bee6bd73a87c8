/** The cluster as a person wants to see it: what the leader knows of all, and what each member says of itself. */
import type {
  AlarmStatus,
  CertificateStatus,
  ClusterStatus,
  DiskStatus,
  JournalClient,
  MemberStatus,
} from '@pact-journal/journal-client';
import type { CliContext } from './context.ts';
import { withJournal } from './journal.ts';

/** A member that hangs must not keep anybody from seeing that it does. */
const MEMBER_TIMEOUT_MS = 2_000;

/** A member, with what it says of itself: null where it does not answer at its client address. */
export interface MemberReport extends MemberStatus {
  readonly reachable: boolean;
  readonly applied_index: number | null;
  readonly uptime_ms: number | null;
  readonly disk: DiskStatus | null;
  readonly certificates: readonly CertificateStatus[] | null;
  /** It runs with `--insecure`. */
  readonly insecure: boolean | null;
}

/** The status that one node gave, with the reports of all members and the alarms of all. */
export interface ClusterReport extends ClusterStatus {
  readonly members: readonly MemberReport[];
}

/** Asks one of the endpoints, then every member that it names. */
export async function reportCluster(context: CliContext, journal: JournalClient): Promise<ClusterReport> {
  const first = await journal.status();
  const answers = await Promise.all(
    first.members.map(async ({ id, grpc }) => (id === first.node_id ? first : await ask(context, grpc))),
  );
  const members = first.members.map((member, at) => describe(member, answers[at]));
  const alarms: AlarmStatus[] = answers.flatMap((answer) => answer?.alarms ?? []);
  // A node that was removed is none of the members, but what it says still counts.
  if (!first.members.some(({ id }) => id === first.node_id)) alarms.push(...first.alarms);
  return { ...first, members, alarms };
}

async function ask(context: CliContext, endpoint: string): Promise<ClusterStatus | undefined> {
  if (endpoint === '') return undefined;
  const call = { deadlineMs: MEMBER_TIMEOUT_MS };
  return withJournal(context, (journal) => journal.status(call), [endpoint]).catch(() => undefined);
}

function describe(member: MemberStatus, answer: ClusterStatus | undefined): MemberReport {
  // Behind a reused address somebody else may answer.
  const own = answer?.node_id === member.id ? answer : undefined;
  return {
    ...member,
    version: own?.version ?? member.version,
    reachable: own !== undefined,
    applied_index: own?.applied_index ?? null,
    uptime_ms: own?.uptime_ms ?? null,
    disk: own?.disk ?? null,
    certificates: own?.certificates ?? null,
    insecure: own?.insecure ?? null,
  };
}
