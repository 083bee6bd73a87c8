import { createHash } from 'node:crypto';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { EntrySeq, JournalView, NewConfigEntry } from '@pact-journal/journal-state';
import { JournalFixture } from '@pact-journal/journal-state/testing';
import { OverlayManager, WorkerCompressor } from '@pact-journal/overlay-builder';
import { BootFront, bootServiceDefinition, bootServiceHandlers, BootServer } from '../../src/index.ts';
import type { BootFrontOptions, BootLimits, BootSource } from '../../src/index.ts';

export interface ReplicaOptions {
  readonly limits?: Partial<BootLimits>;
  readonly front?: Partial<BootFrontOptions>;
  /** Serve by grpc-js alone instead of the front. */
  readonly plain?: boolean;
}

/** A journal whose state is right here, served over a real socket. */
export class Replica implements BootSource {
  readonly fixture = new JournalFixture({
    sha256: (bytes) => createHash('sha256').update(bytes).digest('hex'),
  });
  readonly bootServer: BootServer;
  readonly grpcServer = new Server();
  readonly #compressor = new WorkerCompressor();
  readonly #overlays: OverlayManager;
  readonly #appended = new Set<() => void>();
  readonly #assigned = new Set<(nodeId: string) => void>();
  #front: BootFront | undefined;
  address = '';

  constructor(limits: Partial<BootLimits> = {}) {
    this.#overlays = new OverlayManager({
      view: () => this.view(),
      compressor: this.#compressor,
      store: async (overlay) => {
        await Promise.resolve();
        this.fixture.setOverlay({ ...overlay, data: Buffer.from(overlay.data).toString('base64') });
      },
    });
    this.bootServer = new BootServer({ source: this, limits });
  }

  static async start({ limits = {}, front = {}, plain = false }: ReplicaOptions = {}): Promise<Replica> {
    const replica = new Replica(limits);
    replica.grpcServer.addService(bootServiceDefinition, bootServiceHandlers(replica.bootServer));
    if (plain) {
      const port = await new Promise<number>((resolve, reject) => {
        replica.grpcServer.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
          error === null ? resolve(bound) : reject(error),
        );
      });
      replica.address = `127.0.0.1:${port}`;
    } else {
      replica.#front = new BootFront({
        bootServer: replica.bootServer,
        grpcServer: replica.grpcServer,
        ...front,
      });
      const { port } = await replica.#front.listen('127.0.0.1', 0);
      replica.address = `127.0.0.1:${port}`;
    }
    return replica;
  }

  get front(): BootFront {
    if (this.#front === undefined) throw new Error('this replica has no front');
    return this.#front;
  }

  async stop(graceMs = 0): Promise<void> {
    await this.#front?.close(graceMs);
    this.bootServer.close();
    this.grpcServer.forceShutdown();
    await this.#compressor.close();
  }

  view(): JournalView {
    return this.fixture.journal;
  }

  currentOverlay(vclusterId: string): ReturnType<BootSource['currentOverlay']> {
    return this.#overlays.current(vclusterId);
  }

  waitForSequence(sequence: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (sequence >= this.view().entryCount) return;
        stop();
        resolve();
      };
      const stop = this.onAppended(check);
      signal.addEventListener('abort', () => {
        stop();
        reject(new Error('not applied in time'));
      });
      check();
    });
  }

  onAppended(listener: () => void): () => void {
    this.#appended.add(listener);
    return () => this.#appended.delete(listener);
  }

  onAssigned(listener: (nodeId: string) => void): () => void {
    this.#assigned.add(listener);
    return () => this.#assigned.delete(listener);
  }

  append(...entries: NewConfigEntry[]): EntrySeq {
    const sequences = entries.map((entry) => this.fixture.append(entry));
    for (const listener of this.#appended) listener();
    return sequences[sequences.length - 1] as EntrySeq;
  }

  assign(nodeId: string, vclusterId: string | null): void {
    this.fixture.assign(nodeId, vclusterId);
    for (const listener of this.#assigned) listener(nodeId);
  }
}
