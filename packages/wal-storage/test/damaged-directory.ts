/** A directory to damage: ten entries in four files, and snapshots as wanted. */
import type { SnapshotMeta } from '@pact-journal/raft-core';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import { openWalStorage } from '../src/index.ts';
import type { StorageWarning, WalStorage } from '../src/index.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';
import { ModelledLog } from './log-model.ts';

export const RAFT = '/data/raft';

export interface Opened {
  readonly storage: WalStorage;
  readonly warnings: StorageWarning[];
}

export function storageOn(
  fileSystem: FaultyFileSystem,
  identity: { clusterId?: string; nodeId?: number } = {},
): Opened {
  const warnings: StorageWarning[] = [];
  const storage = openWalStorage({
    dataDir: '/data',
    clusterId: 'alps',
    nodeId: 1,
    fileSystem,
    payload: 'json',
    onWarning: (warning) => warnings.push(warning),
    ...identity,
  });
  return { storage, warnings };
}

function meta(index: number, term: number): SnapshotMeta {
  const confState = {
    voters: [toNodeId(1)],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  return { index: toLogIndex(index), term: toTerm(term), confState, members: [] };
}

export async function save(storage: WalStorage, index: number, term: number): Promise<void> {
  const records = (text: string) => () => [Buffer.from(`{"state":"${text}"}`)];
  const sections = [
    { key: `sealed/${index}`, sealed: true, records: records(`sealed ${index}`) },
    { key: 'open', sealed: false, records: records(`open ${index}`) },
  ];
  await storage.snapshots.save(meta(index, term), { sections, release: () => undefined });
}

export interface Setup {
  /** Snapshots are saved of these entries. */
  readonly snapshots?: readonly number[];
  readonly compactTo?: number;
  readonly commit?: number;
}

/** A directory with ten entries in files 1 (1 to 3), 4 (4 and 5), 6, 7 (7 to 10), all of term 1 but the last file. */
export async function directory(
  setup: Setup = {},
  identity: { nodeId?: number } = {},
): Promise<FaultyFileSystem> {
  const fileSystem = new FaultyFileSystem();
  const { storage } = storageOn(fileSystem, identity);
  const model = new ModelledLog(storage.log);
  await model.open();
  await storage.snapshots.open();
  await model.append(1, 3, 1, { term: 1, vote: 1 });
  await model.append(4, 2, 1);
  await model.append(6, 1, 1);
  await model.append(7, 4, 2, { term: 2, vote: 2 }, 400);
  for (const index of setup.snapshots ?? []) await save(storage, index, index < 7 ? 1 : 2);
  if (setup.compactTo !== undefined) await storage.log.compact(toLogIndex(setup.compactTo));
  await model.commit(setup.commit ?? 0);
  await storage.log.idle();
  await storage.snapshots.close();
  await storage.log.close();
  return new FaultyFileSystem(fileSystem.disk.afterShutdown());
}

export function listing(fileSystem: FaultyFileSystem): Record<string, string> {
  return Object.fromEntries(
    [...fileSystem.disk.contents()].map(([path, content]) => [path, Buffer.from(content).toString('hex')]),
  );
}

export const ALL = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

export function wal(file: number): string {
  return `${RAFT}/wal/${file}.json`;
}

/** Lets a file end after so many bytes; counted from its end if negative. */
export function cut(fileSystem: FaultyFileSystem, path: string, length: number): void {
  fileSystem.put(path, fileSystem.content(path).slice(0, length));
}

export function damage(fileSystem: FaultyFileSystem, path: string, offset = 60): void {
  fileSystem.flipBit(path, offset * 8 + 1);
}
