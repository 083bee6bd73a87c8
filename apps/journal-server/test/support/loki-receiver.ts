/**
 * A stand-in for Loki's push API that is as strict as Loki, and stricter where this project promises more: what Loki
 * would refuse is refused, what it would drop as a repetition is dropped, and whatever is not as it should be is kept
 * in `violations`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What goes wrong with a request. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfter?: string; readonly text?: string }
  /** No answer until the client gives up. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'slow'; readonly delayMs: number }
  /** Everything is stored, and then the connection breaks instead of an answer. */
  | { readonly kind: 'lostAnswer' };

export interface ReceivedRequest {
  readonly atMs: number;
  readonly headers: IncomingMessage['headers'];
  readonly sizeBytes: number;
}

export interface StoredLine {
  readonly stream: string;
  readonly timeNs: bigint;
  readonly line: string;
}

interface Stream {
  readonly lines: Map<string, StoredLine>;
  newestNs: bigint;
}

/** What the tests look at in a line. */
export interface LineFacts {
  readonly sequence: number;
  readonly entry_type: string;
  readonly message?: string;
}

/** Loki's defaults: `max_line_size`, `max_chunk_age / 2`, `reject_old_samples_max_age`, `creation_grace_period`. */
const LIMITS = {
  bodySizeBytes: 4 * 2 ** 20,
  lineSizeBytes: 256 * 2 ** 10,
  behindNs: 3_600n * 1_000_000_000n,
  ageMs: 7 * 86_400_000,
  aheadMs: 600_000,
} as const;
const LABELS = ['component', 'entry_type', 'vcluster'];
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export class LokiReceiver {
  readonly requests: ReceivedRequest[] = [];
  readonly violations: string[] = [];
  /** Lines that were stored already, and dropped. */
  repeats = 0;
  /** Asked for each request, in order. */
  fault: (request: ReceivedRequest, sequences: readonly number[]) => Fault | undefined = () => undefined;
  readonly #streams = new Map<string, Stream>();
  readonly #server: Server;
  #port = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  static async start(port = 0): Promise<LokiReceiver> {
    const receiver = new LokiReceiver();
    await receiver.listen(port);
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.#port)}`;
  }

  /** Comes back on the same port after `close`, with what it had stored. */
  async listen(port = this.#port): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** Everything that is stored, as a query over all streams would return it: by time. */
  lines(): readonly StoredLine[] {
    return [...this.#streams.values()]
      .flatMap(({ lines }) => [...lines.values()])
      .sort((a, b) => (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0));
  }

  facts(): readonly LineFacts[] {
    return this.lines().map(({ line }) => JSON.parse(line) as LineFacts);
  }

  /** Sequences of all lines, by time. */
  sequences(): readonly number[] {
    return this.facts().map(({ sequence }) => sequence);
  }

  get stored(): number {
    let count = 0;
    for (const { lines } of this.#streams.values()) count += lines.size;
    return count;
  }

  streams(): readonly string[] {
    return [...this.#streams.keys()].sort();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    const received = { atMs: performance.now(), headers: request.headers, sizeBytes: body.length };
    this.requests.push(received);
    const problem = envelopeProblem(request, body.length);
    const pushed = problem === undefined ? parsePush(body) : problem;
    if (typeof pushed === 'string') {
      this.violations.push(pushed);
      response.writeHead(400).end(pushed);
      return;
    }
    const fault = this.fault(
      received,
      pushed.map(({ line }) => (JSON.parse(line) as LineFacts).sequence),
    );
    switch (fault?.kind) {
      case 'hang':
        return;
      case 'status':
        response.writeHead(
          fault.status,
          fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter },
        );
        response.end(fault.text ?? `injected ${String(fault.status)}`);
        return;
      case 'slow':
        await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
        break;
      case 'lostAnswer':
        this.#store(pushed);
        request.socket.destroy();
        return;
      case undefined:
        break;
    }
    const refused = this.#store(pushed);
    if (refused === undefined) response.writeHead(204).end();
    else response.writeHead(400).end(refused);
  }

  /** Stores what can be stored; the reason where that was not all, as Loki does it. */
  #store(pushed: readonly StoredLine[]): string | undefined {
    let refused: string | undefined;
    for (const line of pushed) {
      const stream = this.#streams.get(line.stream) ?? { lines: new Map<string, StoredLine>(), newestNs: 0n };
      const reason = unacceptable(line, stream.newestNs);
      if (reason !== undefined) {
        refused = reason;
        continue;
      }
      const key = `${String(line.timeNs)} ${line.line}`;
      if (stream.lines.has(key)) this.repeats += 1;
      else stream.lines.set(key, line);
      if (line.timeNs > stream.newestNs) stream.newestNs = line.timeNs;
      this.#streams.set(line.stream, stream);
    }
    return refused;
  }
}

function unacceptable({ timeNs }: StoredLine, newestNs: bigint): string | undefined {
  const ms = Number(timeNs / 1_000_000n);
  if (ms < Date.now() - LIMITS.ageMs) return 'entry has timestamp too old';
  if (ms > Date.now() + LIMITS.aheadMs) return 'entry has timestamp too new';
  return timeNs < newestNs - LIMITS.behindNs ? 'entry too far behind' : undefined;
}

function envelopeProblem(request: IncomingMessage, sizeBytes: number): string | undefined {
  if (request.method !== 'POST' || request.url !== '/loki/api/v1/push')
    return `${String(request.method)} ${String(request.url)} is not the push API`;
  if (request.headers['content-type'] !== 'application/json')
    return `content type ${String(request.headers['content-type'])}`;
  if (sizeBytes > LIMITS.bodySizeBytes) return `a body of ${String(sizeBytes)} bytes`;
  return undefined;
}

/** The lines of a push, or what is wrong with it. */
function parsePush(body: Buffer): readonly StoredLine[] | string {
  let json: unknown;
  try {
    json = JSON.parse(body.toString());
  } catch {
    return 'the body is not JSON';
  }
  const streams = (json as { streams?: unknown }).streams;
  if (!Array.isArray(streams) || streams.length === 0) return 'no streams';
  const lines: StoredLine[] = [];
  const seen = new Set<string>();
  for (const item of streams as { stream?: unknown; values?: unknown }[]) {
    const labels = labelsOf(item.stream);
    if (labels === undefined) return `labels ${JSON.stringify(item.stream)}`;
    if (seen.has(labels)) return `stream ${labels} twice in one push`;
    seen.add(labels);
    if (!Array.isArray(item.values) || item.values.length === 0) return `no values in ${labels}`;
    let last = 0n;
    for (const value of item.values as unknown[]) {
      if (!Array.isArray(value) || value.length !== 2) return `value ${JSON.stringify(value)}`;
      const [time, line] = value as unknown[];
      if (typeof time !== 'string' || !/^\d{19}$/.test(time)) return `time ${JSON.stringify(time)}`;
      if (typeof line !== 'string' || line === '') return `line ${JSON.stringify(line)}`;
      if (Buffer.byteLength(line) > LIMITS.lineSizeBytes) return `line of ${String(line.length)} characters`;
      if (BigInt(time) <= last) return `times go back in ${labels}`;
      last = BigInt(time);
      lines.push({ stream: labels, timeNs: last, line });
    }
  }
  return lines;
}

/** Labels in Loki's notation; undefined where they are not allowed. */
function labelsOf(stream: unknown): string | undefined {
  if (typeof stream !== 'object' || stream === null) return undefined;
  const pairs = Object.entries(stream).sort(([a], [b]) => (a < b ? -1 : 1));
  const allowed = pairs.every(
    ([name, value]) =>
      LABEL_NAME.test(name) && LABELS.includes(name) && typeof value === 'string' && value !== '',
  );
  if (!allowed || pairs.length === 0) return undefined;
  return `{${pairs.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(', ')}}`;
}
