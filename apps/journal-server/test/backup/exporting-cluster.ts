/** Clusters that export while a test uses them, and where they export to. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalClient } from '@pact-journal/journal-client';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import { Repository } from '../../src/backup/format/repository.ts';
import { openStore } from '../../src/backup/store/open-store.ts';
import { verifyBackup, type BackupVerification } from '../../src/backup/verify.ts';
import { S3_ENVIRONMENT, S3Server } from '../support/s3-server.ts';
import { killAllNodes, TestCluster } from '../support/test-cluster.ts';

export const WAIT = { timeout: 30_000, interval: 50 };

export interface Places {
  readonly directory: string;
  /** Runs while the tests do, and serves without fault at the beginning of each. */
  readonly s3: S3Server;
}

/** A directory and an S3 server for the tests of the calling file; neither they nor a test's nodes outlive them. */
export function usePlaces(): Places {
  const directory = mkdtempSync(join(tmpdir(), 'pact-places-'));
  let server: S3Server | undefined;
  beforeAll(async () => {
    Object.assign(process.env, S3_ENVIRONMENT);
    server = await S3Server.start();
  });
  afterEach(async () => {
    if (server !== undefined) server.fault = () => undefined;
    await killAllNodes();
  });
  afterAll(async () => {
    await server?.close();
    rmSync(directory, { recursive: true });
  });
  return {
    directory,
    get s3() {
      if (server === undefined) throw new Error('the server runs while the tests do');
      return server;
    },
  };
}

export interface Running {
  readonly cluster: TestCluster;
  readonly journal: JournalClient;
  commit(count: number): Promise<void>;
  /** Resolves once everything that is committed can be restored. */
  exported(): Promise<void>;
}

/** A cluster that exports to `url`, for the time of `use`. */
export async function withCluster(
  nodes: number,
  url: string,
  flags: readonly string[],
  use: (running: Running) => Promise<void>,
): Promise<void> {
  const own = ['--backup-url', url, '--backup-interval', '50ms'];
  const cluster = await TestCluster.start({ nodes, flags: [...own, ...flags], env: () => S3_ENVIRONMENT });
  const journal = new JournalClient({ endpoints: cluster.places.map(({ grpc }) => grpc) });
  let committed = 0;
  try {
    await use({
      cluster,
      journal,
      commit: async (count) => {
        for (let left = count; left > 0; left -= 1) {
          committed += 1;
          await journal.append(aCommit(vcluster('ml'), { kernel: { 'vm.swappiness': String(committed) } }));
        }
      },
      exported: () =>
        vi.waitFor(async () => {
          expect(await journal.backupStatus()).toMatchObject({
            exporting: true,
            failure: '',
            lag_entries: 0,
          });
        }, WAIT),
    });
  } finally {
    journal.close();
    await cluster.stop();
  }
}

/** What `backup verify` finds there. */
export async function verified(url: string): Promise<BackupVerification> {
  const store = await openStore(url);
  const result = await verifyBackup(new Repository(store));
  store.close();
  return result;
}
