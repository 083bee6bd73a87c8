/** A three-node etcd (Debian: etcd-server) on loopback, durable, with its default settings. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';

export interface EtcdCluster {
  /** Client address of the leader. */
  readonly leader: string;
  readonly pids: readonly number[];
  readonly version: string;
  stop(): Promise<void>;
}

/** Starts the group in a fresh directory and waits until it has a leader. */
export async function startEtcd(): Promise<EtcdCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'pact-bench-etcd-'));
  const ports = await freePorts(6);
  const members = [0, 1, 2].map((at) => ({
    name: `node${String(at)}`,
    client: `127.0.0.1:${String(ports[at])}`,
    peer: `127.0.0.1:${String(ports[at + 3])}`,
  }));
  const initial = members.map(({ name, peer }) => `${name}=http://${peer}`).join(',');
  const children = members.map(({ name, client, peer }) =>
    spawn(
      'etcd',
      [
        `--name=${name}`,
        `--data-dir=${join(directory, name)}`,
        `--listen-client-urls=http://${client}`,
        `--advertise-client-urls=http://${client}`,
        `--listen-peer-urls=http://${peer}`,
        `--initial-advertise-peer-urls=http://${peer}`,
        `--initial-cluster=${initial}`,
        '--initial-cluster-state=new',
        '--quota-backend-bytes=8589934592',
        '--logger=zap',
        '--log-level=error',
      ],
      { stdio: 'ignore', env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch } },
    ),
  );
  const stop = async () => {
    await Promise.all(children.map(end));
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const { leader, version } = await findLeader(members.map(({ client }) => client));
    return { leader, version, pids: children.flatMap(({ pid }) => pid ?? []), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** etcdserverpb.PutRequest { key = 1: bytes; value = 2: bytes }. */
export function encodePut(key: string, value: Uint8Array): Buffer {
  return Buffer.concat([lengthDelimited(1, Buffer.from(key)), lengthDelimited(2, value)]);
}

export const ETCD_PUT_PATH = '/etcdserverpb.KV/Put';

/** What a Node program gets: unary Put over grpc-js with messages encoded beforehand. */
export class EtcdPutClient {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
  }

  put(request: Buffer): Promise<void> {
    return unary(this.#client, ETCD_PUT_PATH, request).then(() => undefined);
  }

  close(): void {
    this.#client.close();
  }
}

function unary(client: Client, path: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const same = (bytes: Buffer) => bytes;
    client.makeUnaryRequest(path, same, same, request, (error, response) => {
      if (error !== null) reject(error);
      else resolve(response ?? Buffer.alloc(0));
    });
  });
}

/** etcdserverpb.StatusResponse: header = 1 { member_id = 2 }, version = 2, leader = 4. */
async function findLeader(addresses: readonly string[]): Promise<{ leader: string; version: string }> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    for (const address of addresses) {
      const client = new Client(address, credentials.createInsecure());
      try {
        const status = fields(await unary(client, '/etcdserverpb.Maintenance/Status', Buffer.alloc(0)));
        const header = status.get(1);
        const memberId = header instanceof Uint8Array ? fields(header).get(2) : undefined;
        const version = status.get(2);
        if (memberId !== undefined && memberId === status.get(4)) {
          return {
            leader: address,
            version: version instanceof Uint8Array ? Buffer.from(version).toString() : '',
          };
        }
      } catch {
        // Not up yet.
      } finally {
        client.close();
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('etcd had no leader within 30 s');
}

/** The last value of each field of a protobuf message: varints as bigint, length-delimited ones as bytes. */
function fields(message: Uint8Array): Map<number, bigint | Uint8Array> {
  const found = new Map<number, bigint | Uint8Array>();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    if ((tag & 7) === 0) found.set(tag >>> 3, varint());
    else {
      const length = Number(varint());
      found.set(tag >>> 3, message.subarray(at, at + length));
      at += length;
    }
  }
  return found;
}

function lengthDelimited(field: number, bytes: Uint8Array): Buffer {
  const head: number[] = [(field << 3) | 2];
  for (let rest = bytes.length; ; rest >>>= 7) {
    head.push(rest < 0x80 ? rest : (rest & 0x7f) | 0x80);
    if (rest < 0x80) break;
  }
  return Buffer.concat([Buffer.from(head), bytes]);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
