/** A single server with TLS, as its own process with its default settings, as an operator would start it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { CLI, freePortRange } from '../commit/journal.ts';

export interface SecuredServer {
  /** `localhost:PORT` of the client port. */
  readonly address: string;
  readonly caPath: string;
  readonly ca: string;
  /** User and system time of all its threads so far, in seconds. */
  cpuSeconds(): number;
  /** What it keeps in memory now, in MiB. */
  memoryMib(): number;
  stop(): Promise<void>;
}

/** With an issuer it authenticates every call; without, it has the same TLS and lets everybody do everything. */
export async function startSecured(issuer: string | undefined): Promise<SecuredServer> {
  const folder = await mkdtemp(join(tmpdir(), 'pact-bench-secured-'));
  const certs = join(folder, 'certs');
  await promisify(execFile)(process.execPath, [CLI, 'certs', 'init', '--dir', certs, '--members', '1']);
  const first = await freePortRange(3);
  const child = spawn(
    process.execPath,
    [
      CLI,
      'serve',
      '--json',
      `--data-dir=${join(folder, 'data')}`,
      ...['grpc', 'raft', 'metrics'].map((port, at) => `--listen-${port}=127.0.0.1:${String(first + at)}`),
      `--tls-cert=${join(certs, 'member-1', 'server.pem')}`,
      `--tls-key=${join(certs, 'member-1', 'server.key')}`,
      ...(issuer === undefined ? [] : [`--auth-issuer=${issuer}`]),
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  const lines = createInterface({ input: child.stdout });
  const ready = await Promise.race([once(lines, 'line'), exited.then(() => undefined)]);
  if (ready === undefined) throw new Error('the server ended before it was ready');
  lines.resume();
  const caPath = join(certs, 'server-ca.pem');
  const tasks = `/proc/${String(child.pid)}/task`;
  return {
    address: `localhost:${String(first)}`,
    caPath,
    ca: await readFile(caPath, 'utf8'),
    // Nanoseconds, where the fields of stat(5) are hundredths of a second (Documentation/scheduler/sched-stats.rst).
    cpuSeconds: () =>
      readdirSync(tasks).reduce((sum, task) => {
        const [onCpu = '0'] = readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ');
        return sum + Number(onCpu) / 1e9;
      }, 0),
    memoryMib: () => {
      const status = readFileSync(`/proc/${String(child.pid)}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1_024;
    },
    stop,
  };
}
