/** Spools one entry after another, printing each message once it is acknowledged, until it is killed. */
import { JournalClient, openSpool } from '@pact-journal/journal-client';

const [directory = '', endpoint = '', life = ''] = process.argv.slice(2);
const spool = await openSpool({ directory, client: new JournalClient({ endpoints: [endpoint] }) });
for (let at = 0; ; at += 1) {
  const message = `${life}.${at}`;
  await spool.append({
    entry_type: 'DriftDetected',
    scope: { Node: 'node-1' },
    author: { principal: 'node-1', principal_type: 'Agent', role: 'pact-agent' },
    parent: null,
    state_delta: null,
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
    message,
  });
  process.stdout.write(`${message}\n`);
}
