/**
 * One node's disk and nothing else: `FORM DIRECTORY APPENDS` makes so many appends of one entry durable, one after the
 * other. `files`: this journal's log, a file an append. `single`: one growing file, as etcd keeps its log in segments.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type { Entry } from '@pact-journal/raft-core';
import { openWalStorage } from '@pact-journal/wal-storage';
import { command } from '../journal-load/commands.ts';
import { percentile } from '../report.ts';

/** As many as make code fast and files ready. */
const WARM_UP = 300;

interface Log {
  append(entry: Entry): Promise<void>;
  close(): Promise<void>;
}

async function fileAnAppend(dataDir: string): Promise<Log> {
  const { log, snapshots } = openWalStorage({ dataDir, clusterId: 'bench', nodeId: 1, payload: 'json' });
  await log.open();
  const hardState = { term: toTerm(1), vote: toNodeId(1), commit: toLogIndex(0) };
  return {
    append: (entry) => log.append({ entries: [entry], hardState, mustSync: true }),
    close: async () => {
      await log.close();
      await snapshots.close();
    },
  };
}

async function oneFile(directory: string): Promise<Log> {
  const file = await open(join(directory, `${process.pid}.wal`), 'wx');
  let position = 0;
  return {
    append: async ({ data }) => {
      await file.write(data, 0, data.length, position);
      position += data.length;
      await file.datasync();
    },
    close: () => file.close(),
  };
}

const [, , form, directory = '', appends] = process.argv;
const log = await (form === 'files' ? fileAnAppend : oneFile)(directory);
const data = command(0);
const times: number[] = [];
let before = process.cpuUsage();
for (let index = 1; index <= WARM_UP + Number(appends); index++) {
  if (index === WARM_UP + 1) before = process.cpuUsage();
  const start = performance.now();
  await log.append({ index: toLogIndex(index), term: toTerm(1), type: 'normal', data });
  if (index > WARM_UP) times.push(performance.now() - start);
}
const { user, system } = process.cpuUsage(before);
await log.close();
process.stdout.write(
  JSON.stringify({ p50Ms: percentile(times, 0.5), cpuUs: (user + system) / times.length }),
);
