/** One external load generator for every server: h2load (Debian: nghttp2-client), sending one gRPC body over and over. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface H2LoadRun {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Requests that did not end with an HTTP 2xx. */
  readonly failed: number;
}

export interface H2LoadOptions {
  /** `127.0.0.1:9443` */
  readonly address: string;
  /** `/package.Service/Method` */
  readonly path: string;
  /** The encoded protobuf message; absent: a plain GET. */
  readonly message?: Uint8Array;
  readonly connections: number;
  readonly streams: number;
  readonly requests: number;
  /** The one cipher of TLS 1.3 to speak; absent: plain text. */
  readonly tlsCipher?: string;
}

/** A gRPC length-prefixed message (gRPC over HTTP/2, "Length-Prefixed-Message"). */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

/** Sends `requests` requests and reports throughput and latency of the whole run. */
export async function h2load(options: H2LoadOptions): Promise<H2LoadRun> {
  const scratch = mkdtempSync(join(tmpdir(), 'pact-bench-h2load-'));
  const body = join(scratch, 'body');
  const log = join(scratch, 'log');
  const { message } = options;
  if (message !== undefined) writeFileSync(body, grpcFrame(message));
  const grpc = [`--data=${body}`, '--header=content-type: application/grpc', '--header=te: trailers'];
  try {
    const { stdout } = await promisify(execFile)(
      'h2load',
      [
        `--requests=${String(options.requests)}`,
        `--clients=${String(options.connections)}`,
        `--max-concurrent-streams=${String(options.streams)}`,
        '--threads=1',
        ...(message === undefined ? [] : grpc),
        `--log-file=${log}`,
        ...(options.tlsCipher === undefined ? [] : [`--tls13-ciphers=${options.tlsCipher}`]),
        `${options.tlsCipher === undefined ? 'http' : 'https'}://${options.address}${options.path}`,
      ],
      { maxBuffer: 16 * 1024 * 1024 },
    );
    const rate = /finished in [^,]+, ([\d.]+) req\/s/.exec(stdout)?.[1];
    const succeeded = /(\d+) succeeded/.exec(stdout)?.[1];
    if (rate === undefined || succeeded === undefined)
      throw new Error(`h2load printed no summary:\n${stdout}`);
    // A line a request: start in microseconds, HTTP status, duration in microseconds.
    const durations = readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Number(line.split('\t')[2]))
      .sort((a, b) => a - b);
    return {
      requestsPerSecond: Number(rate),
      p50Ms: percentile(durations, 0.5) / 1000,
      p99Ms: percentile(durations, 0.99) / 1000,
      failed: options.requests - Number(succeeded),
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The value below which a share of the sorted samples lies; 0 of none. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
