/** Calls over one connection, with as little between the caller and the wire as Node allows. */
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { journal, stream } from '@pact-journal/journal-proto';
import { newEntryToWire } from '@pact-journal/journal-proto';
import { emptyDelta } from '@pact-journal/journal-state';
import { grpcFrame } from '../commit/h2load.ts';
import { benchEntry, encodeAppend, JOURNAL_APPEND_PATH } from '../commit/entry.ts';

export const BOOT_PATH = stream.BootConfigServiceDefinition.streamBootConfig.path;
export const BOOT_VCLUSTER = 'floor';
export const NODE_ID = 'node-00001';

/** A boot of a node of {@link BOOT_VCLUSTER}, framed. */
export const BOOT_REQUEST = grpcFrame(
  stream.BootConfigRequest.encode({
    nodeId: NODE_ID,
    vclusterId: BOOT_VCLUSTER,
    lastKnownVersion: undefined,
  }).finish(),
);

const COMMIT_REQUEST = grpcFrame(encodeAppend(benchEntry()));

export class WireClient {
  readonly #session: ClientHttp2Session;
  readonly #token: string | undefined;

  private constructor(session: ClientHttp2Session, token: string | undefined) {
    this.#session = session;
    this.#token = token;
  }

  static async connect(address: string, ca: string, token?: string): Promise<WireClient> {
    const session = connect(`https://${address}`, {
      ca,
      settings: { initialWindowSize: 4 * 1024 * 1024, enablePush: false },
    });
    await once(session, 'remoteSettings');
    session.setLocalWindowSize(64 * 1024 * 1024);
    return new WireClient(session, token);
  }

  boot(): Promise<number> {
    return this.call(BOOT_PATH, BOOT_REQUEST);
  }

  commit(): Promise<number> {
    return this.call(JOURNAL_APPEND_PATH, COMMIT_REQUEST);
  }

  /** Milliseconds until the end of the answer. Rejects where the call does not end with OK. */
  call(path: string, body: Buffer): Promise<number> {
    const startedMs = performance.now();
    return new Promise((resolve, reject) => {
      const call = this.#session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      });
      let status: unknown;
      const take = (headers: object): void => {
        if (!('grpc-status' in headers)) return;
        status = headers['grpc-status'];
      };
      call.on('response', take);
      call.on('trailers', take);
      call.on('error', reject);
      call.on('close', () => {
        if (status === '0') resolve(performance.now() - startedMs);
        else reject(new Error(`${path} ended with status ${String(status)}`));
      });
      call.resume();
      call.end(body);
    });
  }

  /** Gives {@link BOOT_VCLUSTER} an overlay of about 150,000 bytes that nothing compresses further. */
  async declareOverlay(randomText: (characters: number) => string): Promise<void> {
    for (const key of ['one', 'two']) {
      const wire = newEntryToWire({
        entry_type: 'Commit',
        scope: { VCluster: BOOT_VCLUSTER },
        author: { principal: 'bench@example.org', principal_type: 'Human', role: 'pact-platform-admin' },
        parent: null,
        state_delta: {
          ...emptyDelta(),
          kernel: [{ action: 'Add', key: `bench.${key}`, value: randomText(100_000), previous: null }],
        },
        policy_ref: null,
        ttl_seconds: null,
        emergency_reason: null,
      });
      await this.call(
        JOURNAL_APPEND_PATH,
        grpcFrame(journal.AppendEntryRequest.encode({ entry: wire.entry }).finish()),
      );
    }
    const { assignNode } = journal.NodeServiceDefinition;
    const assignment = assignNode.requestSerialize({ nodeId: NODE_ID, vclusterId: BOOT_VCLUSTER });
    await this.call(assignNode.path, grpcFrame(assignment));
    await this.boot();
  }

  close(): void {
    this.#session.destroy();
  }
}
