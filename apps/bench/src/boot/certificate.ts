/** A certificate that both servers present, made by the product's own command. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Paths of PEM files, and the one cipher of TLS 1.3 that is spoken. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly cipher: string;
  remove(): Promise<void>;
}

const CIPHER = 'TLS_AES_128_GCM_SHA256';

export async function makeCertificate(): Promise<TlsFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'pact-bench-certs-'));
  const cli = fileURLToPath(new URL('../../../journal-server/src/cli/main.ts', import.meta.url));
  const args = [...process.execArgv, cli, 'certs', 'init', '--dir', folder, '--members', '1'];
  await promisify(execFile)(process.execPath, args);
  return {
    cert: join(folder, 'member-1', 'server.pem'),
    key: join(folder, 'member-1', 'server.key'),
    cipher: CIPHER,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
