/**
 * An S3 server for tests: fauxqs (from npm, in this process, all in memory) behind a front of ours. The front honours
 * If-None-Match on writes, as AWS, MinIO and Ceph do and fauxqs does not, unless it is told otherwise; and it can break.
 */
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { startFauxqs, type FauxqsServer } from 'fauxqs';

/** What the front does with a request instead of passing it on. */
export type Fault =
  | { readonly kind: 'refuse'; readonly status: number; readonly code: string }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Passes it on and changes a byte of the answer's body. */
  | { readonly kind: 'corrupt' };

export interface S3ServerOptions {
  /** False: writes are not conditional, whatever the request says; `refused`: one that asks for it fails. */
  readonly conditional?: boolean | 'refused';
}

export const BUCKET = 'backups';

/** What the SDK needs to find as credentials; the server does not look at them. */
export const S3_ENVIRONMENT = {
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_REGION: 'us-east-1',
} as const;

export class S3Server {
  /** Asked for every request; undefined lets it through. */
  fault: (request: IncomingMessage) => Fault | undefined = () => undefined;
  /** Requests so far, `METHOD /path?query`. */
  readonly requests: string[] = [];
  /** Headers of the last request by `METHOD /path`. */
  readonly headers = new Map<string, IncomingMessage['headers']>();
  readonly #upstream: FauxqsServer;
  readonly #front: Server;
  readonly #conditional: boolean | 'refused';
  /** Conditional writes, one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(upstream: FauxqsServer, conditional: boolean | 'refused') {
    this.#upstream = upstream;
    this.#conditional = conditional;
    this.#front = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start({ conditional = true }: S3ServerOptions = {}, port = 0): Promise<S3Server> {
    const upstream = await startFauxqs({ port: 0, logger: false });
    upstream.createBucket(BUCKET);
    const server = new S3Server(upstream, conditional);
    await new Promise<void>((resolve) => server.#front.listen(port, '127.0.0.1', resolve));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${String((this.#front.address() as AddressInfo).port)}`;
  }

  /** The address of a backup in it. */
  url(prefix: string, parameters = ''): string {
    const endpoint = encodeURIComponent(this.endpoint);
    return `s3://${BUCKET}/${prefix}?endpoint=${endpoint}&region=us-east-1&path-style=true${parameters}`;
  }

  async close(): Promise<void> {
    this.#front.closeAllConnections();
    await new Promise((resolve) => this.#front.close(resolve));
    await this.#upstream.stop();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method = 'GET', url = '/' } = request;
    this.requests.push(`${method} ${url}`);
    this.headers.set(`${method} ${url.split('?')[0] ?? ''}`, request.headers);
    const fault = this.fault(request);
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'refuse') return refuse(response, fault.status, fault.code);
    const asks = method === 'PUT' && request.headers['if-none-match'] === '*';
    if (asks && this.#conditional === 'refused') return refuse(response, 501, 'NotImplemented');
    if (!asks || this.#conditional === false)
      return this.#forward(request, body, response, fault?.kind === 'corrupt');
    const work = this.#queue.then(async () => {
      if (await this.#exists(url)) return refuse(response, 412, 'PreconditionFailed');
      return this.#forward(request, body, response, false);
    });
    this.#queue = work.catch(() => undefined);
    await work;
  }

  async #exists(url: string): Promise<boolean> {
    const path = url.split('?')[0] ?? '';
    const answer = await this.#send('HEAD', path, {}, Buffer.alloc(0));
    return answer.status === 200;
  }

  async #forward(
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
    corrupt: boolean,
  ): Promise<void> {
    const { method = 'GET', url = '/' } = request;
    const answer = await this.#send(method, url, request.headers, body);
    if (corrupt && answer.body.length > 0) {
      const at = Math.floor(answer.body.length / 2);
      answer.body[at] = (answer.body[at] ?? 0) ^ 1;
    }
    response.writeHead(answer.status, answer.headers);
    response.end(answer.body);
  }

  #send(
    method: string,
    path: string,
    headers: IncomingMessage['headers'],
    body: Buffer,
  ): Promise<{
    readonly status: number;
    readonly headers: IncomingMessage['headers'];
    readonly body: Buffer;
  }> {
    return new Promise((resolve, reject) => {
      const onward = httpRequest(
        { host: '127.0.0.1', port: this.#upstream.port, method, path, headers },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () => {
            resolve({
              status: answer.statusCode ?? 500,
              headers: answer.headers,
              body: Buffer.concat(chunks),
            });
          });
          answer.on('error', reject);
        },
      );
      onward.on('error', reject);
      onward.end(body);
    });
  }
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  response.writeHead(status, {
    'content-type': 'application/xml',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
