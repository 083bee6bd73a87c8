import { describe, expect, it } from 'vitest';
import { Remover } from '../src/log/remover.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';

const MIB = 1024 * 1024;

describe('files of compacted entries', () => {
  it('are removed beyond 32 MiB, all but the last one, by which emptied ones before it are known', async () => {
    const fileSystem = new FaultyFileSystem();
    const remover = new Remover(fileSystem, '/wal', () => undefined);
    await fileSystem.makeDirectory('/wal');
    for (const name of ['1.json', '2.json', '3.json'])
      await (await fileSystem.open(`/wal/${name}`, 'create')).close();
    const left = () => [...fileSystem.disk.directory('/wal').current.keys()];

    remover.add([
      { file: 1, sizeBytes: 40 * MIB },
      { file: 2, sizeBytes: 40 * MIB },
      { file: 3, sizeBytes: 40 * MIB },
    ]);
    await remover.idle();
    expect(left()).toEqual(['3.json']);
    expect(remover.take()).toBeUndefined();

    await remover.removeAll();
    expect(left()).toEqual([]);
  });

  it('stay where removing them is not allowed', async () => {
    const fileSystem = new FaultyFileSystem();
    const remover = new Remover(fileSystem, '/wal', () => undefined);
    await fileSystem.makeDirectory('/wal');
    await (await fileSystem.open('/wal/1.json', 'create')).close();
    remover.add([{ file: 1, sizeBytes: 10 }]);
    await remover.stop(false);
    expect([...fileSystem.disk.directory('/wal').current.keys()]).toEqual(['1.json']);
  });
});
