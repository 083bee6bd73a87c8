/** Waiting for a member. Nothing is under way in this process: whoever ends it in between has changed nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JournalClient, MemberStatus } from '@pact-journal/journal-client';
import { CliError } from './errors.ts';

const POLL_MS = 200;
/** The leader itself takes no more at a promotion. */
const LAG_ENTRIES_MAX = 100;

type Members = readonly MemberStatus[];

/**
 * Does what needs a learner that has caught up, once it has or `waitS` seconds are over. Then the leader decides, and
 * its refusal is the one to read.
 */
export async function untilCaughtUp(
  journal: JournalClient,
  id: number,
  waitS: number,
  act: () => Promise<Members>,
): Promise<Members> {
  const giveUpMs = performance.now() + waitS * 1_000;
  for (;;) {
    const caughtUp = isCaughtUp(await memberOf(journal, id));
    const last = performance.now() >= giveUpMs;
    if (caughtUp || last) {
      try {
        return await act();
      } catch (error) {
        // Under load it may have fallen behind again just now.
        if (last || isCaughtUp(await memberOf(journal, id))) throw error;
      }
    }
    await sleep(POLL_MS);
  }
}

/** Resolves with the members once this one has a vote. */
export async function untilVoter(journal: JournalClient, id: number, waitS: number): Promise<Members> {
  const giveUpMs = performance.now() + waitS * 1_000;
  for (;;) {
    const members = await journal.members();
    const member = members.find((candidate) => candidate.id === id);
    if (member !== undefined && member.role !== 'learner') return members;
    if (performance.now() >= giveUpMs) {
      const why = describe(member);
      throw new CliError(
        'failed',
        `node ${String(id)} was added and has no vote yet after ${String(waitS)} s: ${why}; it is promoted once it has caught up`,
      );
    }
    await sleep(POLL_MS);
  }
}

async function memberOf(journal: JournalClient, id: number): Promise<MemberStatus | undefined> {
  return (await journal.members()).find((member) => member.id === id);
}

/** Whoever has a vote is not waited for: what is wrong with the request is the leader's to say. */
function isCaughtUp(member: MemberStatus | undefined): boolean {
  if (member === undefined) return false;
  if (member.role !== 'learner') return true;
  return member.active === true && member.lag_entries !== null && member.lag_entries <= LAG_ENTRIES_MAX;
}

function describe(member: MemberStatus | undefined): string {
  if (member === undefined) return 'it is no member any more';
  if (member.active !== true) return 'it does not respond';
  return `it is ${String(member.lag_entries ?? 0)} entries behind`;
}
