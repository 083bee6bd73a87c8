import { testLogStore, testSnapshotStore } from '@pact-journal/raft-core/testing';
import { describe, it } from 'vitest';
import { DirectorySnapshotStore, DiskFileSystem, WalLogStore } from '../src/index.ts';
import { temporaryDirectory } from './temporary-directory.ts';

function logFixture(entriesPerFile: number, tailCacheSizeBytes: number): { open(): WalLogStore } {
  const dataDir = temporaryDirectory();
  return {
    open: () =>
      new WalLogStore({
        dataDir,
        identity: { clusterId: 'c', nodeId: 1 },
        fileSystem: new DiskFileSystem(),
        onWarning: () => undefined,
        payload: 'auto',
        entriesPerFile,
        tailCacheSizeBytes,
      }),
  };
}

describe('on a disk, one append a file', () => {
  for (const { name, run } of testLogStore(() => logFixture(4096, 1 << 20))) it(name, run);
});

describe('on a disk, at most three entries a file and nothing cached', () => {
  for (const { name, run } of testLogStore(() => logFixture(3, 0))) it(name, run);
});

describe('on a disk', () => {
  const fixture = (): { open(): DirectorySnapshotStore } => {
    const dataDir = temporaryDirectory();
    return {
      open: () =>
        new DirectorySnapshotStore({
          dataDir,
          clusterId: 'c',
          fileSystem: new DiskFileSystem(),
          onWarning: () => undefined,
          payload: 'auto',
        }),
    };
  };
  for (const { name, run } of testSnapshotStore(fixture)) it(name, run);
});
