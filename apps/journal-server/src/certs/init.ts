/** `certs init`: a folder with authorities and certificates for a cluster that is to be tried out secured. */
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isIP } from 'node:net';
import { memberUri, nodeUri } from '../auth/certificates.ts';
import { Authority, type Issued } from './authority.ts';

export interface CertsPlan {
  readonly folder: string;
  readonly clusterId: string;
  /** Raft ids. */
  readonly members: readonly number[];
  /** Names and addresses by which clients reach the members. */
  readonly hosts: readonly string[];
  /** Compute nodes. */
  readonly nodes: readonly string[];
  readonly days: number;
}

/** What was written, by what it is for; paths. */
export interface CertsReport {
  readonly folder: string;
  readonly written: readonly string[];
  /** What there was before and was kept. */
  readonly kept: readonly string[];
}

const AUTHORITY_DAYS = 3_650;
const DAY_MS = 86_400_000;

/**
 * Writes `server-ca`, `client-ca` and `peer-ca`, and below `member-ID` and `node-NAME` what each needs. Authorities that
 * are there already issue what is missing; nothing is ever overwritten. Private keys can be read by their owner only.
 */
export async function initCerts(plan: CertsPlan): Promise<CertsReport> {
  const written: string[] = [];
  const kept: string[] = [];
  const store = async (name: string, make: () => Promise<Issued>): Promise<Issued> => {
    const [certPath, keyPath] = [join(plan.folder, `${name}.pem`), join(plan.folder, `${name}.key`)];
    if ((await exists(certPath)) && (await exists(keyPath))) {
      kept.push(`${name}.pem`);
      return { cert: await readFile(certPath, 'utf8'), key: await readFile(keyPath, 'utf8') };
    }
    const issued = await make();
    await mkdir(join(keyPath, '..'), { recursive: true, mode: 0o700 });
    await writeFile(keyPath, issued.key, { mode: 0o600, flag: 'wx' });
    await writeFile(certPath, issued.cert, { flag: 'wx' });
    written.push(`${name}.pem`, `${name}.key`);
    return issued;
  };
  const authority = async (name: string, what: string): Promise<Authority> =>
    Authority.open(
      await store(name, () => Authority.create(`${plan.clusterId} ${what} authority`, AUTHORITY_DAYS)),
    );
  const servers = await authority('server-ca', 'server');
  const clients = await authority('client-ca', 'compute node');
  const peers = await authority('peer-ca', 'member');
  const notAfterMs = Date.now() + plan.days * DAY_MS;
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...plan.hosts])];
  for (const id of plan.members) {
    await store(`member-${String(id)}/server`, () =>
      servers.issue({
        commonName: `${plan.clusterId} member ${String(id)}`,
        dns: names.filter((name) => isIP(name) === 0),
        ips: names.filter((name) => isIP(name) !== 0),
        usages: ['server'],
        notAfterMs,
      }),
    );
    await store(`member-${String(id)}/peer`, () =>
      peers.issue({
        commonName: `${plan.clusterId} member ${String(id)}`,
        uris: [memberUri(plan.clusterId, id)],
        usages: ['server', 'client'],
        notAfterMs,
      }),
    );
  }
  for (const node of plan.nodes) {
    await store(`node-${node}/client`, () =>
      clients.issue({
        commonName: node,
        uris: [nodeUri(plan.clusterId, node)],
        usages: ['client'],
        notAfterMs,
      }),
    );
  }
  return { folder: plan.folder, written, kept };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
