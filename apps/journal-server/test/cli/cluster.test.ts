/** The command line against three real servers: any of them will do. */
import type { ConfigEntry } from '@pact-journal/journal-state';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startJournal, type RunningJournal } from './journal-process.ts';
import { runHere } from './run-cli.ts';

let journal: RunningJournal;

beforeAll(async () => {
  journal = await startJournal(3);
});

afterAll(() => journal.stop());

interface Status {
  readonly leader_id: number;
  readonly members: readonly { readonly id: number; readonly role: string }[];
}

async function json<Document>(
  endpoint: string | undefined,
  args: readonly string[],
  stdin = '',
): Promise<Document> {
  const result = await runHere([...args, '--json', '--endpoint', endpoint ?? ''], { stdin });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(result.stdout) as Document;
}

test('a commit through any server is on all of them, and any of them serves the boot', async () => {
  for (const [at, endpoint] of journal.endpoints.entries()) {
    const stdin = JSON.stringify({ kernel: [{ action: 'Add', key: `vm.via${String(at)}`, value: '1' }] });
    const args = ['commit', '--vcluster', 'any', '-f', '-'];
    expect(await json(endpoint, args, stdin)).toMatchObject({ sequence: at });
  }
  const last = String(journal.endpoints.length - 1);
  const hashes = new Set<string>();
  for (const endpoint of journal.endpoints) {
    const boot = ['boot', 'n1', '--vcluster', 'any', '--min-sequence', last];
    const { config } = await json<{ config: { kernel: object } }>(endpoint, boot);
    expect(Object.keys(config.kernel)).toEqual(['vm.via0', 'vm.via1', 'vm.via2']);
    hashes.add((await json<ConfigEntry>(endpoint, ['show', last])).hash);
  }
  expect(hashes.size).toBe(1);
});

test('leadership is handed to the member that is named', async () => {
  const [first] = journal.endpoints;
  const { leader_id: leader, members } = await json<Status>(first, ['status']);
  const other = members.find((member) => member.id !== leader)?.id ?? 0;
  expect(await json(first, ['member', 'transfer', String(other)])).toMatchObject({ leader_id: other });
  await expect.poll(async () => (await json<Status>(first, ['status'])).leader_id).toBe(other);
});
