/** nginx (Debian: nginx-light) with one worker, serving a file over HTTP/2, in plain text or with TLS 1.3. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsFiles } from './certificate.ts';

export interface Nginx {
  readonly address: string;
  readonly path: string;
  stop(): Promise<void>;
}

export async function startNginx(body: Uint8Array, tls?: TlsFiles): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'pact-bench-nginx-'));
  const port = await freePort();
  await mkdir(join(folder, 'www'));
  await writeFile(join(folder, 'www', 'overlay'), body);
  await writeFile(join(folder, 'nginx.conf'), configuration(folder, port, tls));
  const nginx = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')], {
    stdio: 'inherit',
  });
  const exited = new Promise((resolve) => nginx.once('exit', resolve));
  await untilListening(port);
  return {
    address: `127.0.0.1:${port}`,
    path: '/overlay',
    stop: async () => {
      nginx.kill('SIGQUIT');
      const timer = setTimeout(() => nginx.kill('SIGKILL'), 5_000);
      await exited;
      clearTimeout(timer);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What a careful operator would set for static files. */
function configuration(folder: string, port: number, tls: TlsFiles | undefined): string {
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  return `
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    worker_processes 1;
    worker_rlimit_nofile 16384;
    daemon off;
    pid ${folder}/pid;
    events { worker_connections 8192; }
    http {
      access_log off;
      ${scratch.join(' ')}
      keepalive_requests 1000000000;
      sendfile on; tcp_nopush on; tcp_nodelay on;
      open_file_cache max=16 inactive=1h;
      open_file_cache_valid 1h;
      http2_max_concurrent_streams 1024;
      server { listen 127.0.0.1:${port} ${tls === undefined ? '' : 'ssl'} http2 backlog=4096; ${encryption(tls)} root ${folder}/www; location / { default_type application/octet-stream; } }
    }`;
}

function encryption(tls: TlsFiles | undefined): string {
  if (tls === undefined) return '';
  const { cert, key, cipher } = tls;
  return `ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites ${cipher};`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nginx does not listen on port ${port}`);
}
