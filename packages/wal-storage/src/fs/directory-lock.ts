/**
 * Ownership of a directory that ends with the process.
 *
 * Node has no flock(2), and a pid file outlives a crash, so the owner listens on a Unix socket: the kernel takes the
 * listener away with the process, whatever killed it, and whoever is refused learns the owner's pid by connecting.
 *
 * On Linux the socket that decides has an abstract name made of the directory's device and inode: binding it is atomic
 * and leaves nothing behind. A second one, a file `lock` in the directory, is seen from other network namespaces
 * (containers that share the volume), which the abstract name is not. Its stale leftovers are replaced; between
 * processes that cannot see each other's abstract names, two that start in the same few microseconds after a crash
 * could both do that. Other systems have the file only. Neither works across machines: a network file system shared
 * by two hosts is not protected.
 */
import { mkdirSync, openSync, closeSync, statSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { WalStorageError, ioError, systemErrorCode } from '../errors.ts';
import type { DirectoryLock } from './file-system.ts';

/** Name of the socket file inside a locked directory. */
export const LOCK_FILE_NAME = 'lock';

/** sun_path holds 108 bytes on Linux and 104 elsewhere, with a terminating zero. */
const SOCKET_PATH_SIZE_BYTES_MAX = 100;
const PROBE_TIMEOUT_MS = 1000;

/** Listens, telling every visitor our pid; undefined where the address is taken. */
function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(`${process.pid}\n`);
    });
    server.once('error', (error) => {
      if (systemErrorCode(error) === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen({ path: address, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** Who listens there: a pid, 'unknown' if it does not say in time, or undefined if nobody does. */
function probe(address: string): Promise<number | 'unknown' | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path: address });
    let answer = '';
    let connected = false;
    const finish = (): void => {
      socket.destroy();
      const pid = Number.parseInt(answer, 10);
      resolve(!connected ? undefined : Number.isSafeInteger(pid) && pid > 0 ? pid : 'unknown');
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, finish);
    socket.on('connect', () => {
      connected = true;
    });
    socket.on('data', (data) => {
      answer += data.toString('latin1');
    });
    socket.on('end', finish);
    socket.on('error', finish);
  });
}

function refused(directory: string, owner: number | 'unknown' | undefined): WalStorageError {
  const who =
    owner === process.pid
      ? `this process (pid ${owner}) has it open already`
      : `process ${typeof owner === 'number' ? owner : 'unknown'} owns it`;
  return new WalStorageError(
    'locked',
    `locking ${directory}: ${who}; stop that process, or give this node a data directory of its own`,
    { path: directory },
  );
}

/** Takes the directory, creating it if need be. Fails with `locked` if anyone else has it. */
export async function acquireDirectoryLock(directory: string): Promise<DirectoryLock> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const held: Server[] = [];
    let pathFd: number | undefined;
    const release = async (): Promise<void> => {
      await Promise.all(held.splice(0).map(closeServer));
      if (pathFd !== undefined) closeSync(pathFd);
      pathFd = undefined;
    };
    try {
      if (process.platform === 'linux') {
        const { dev, ino } = statSync(directory);
        const address = `\0pact-journal/wal/${dev}:${ino}`;
        const server = await listen(address);
        if (server === undefined) throw refused(directory, await probe(address));
        held.push(server);
      }
      let path = join(directory, LOCK_FILE_NAME);
      if (Buffer.byteLength(path) > SOCKET_PATH_SIZE_BYTES_MAX && process.platform === 'linux') {
        pathFd = openSync(directory, 'r');
        path = `/proc/self/fd/${pathFd}/${LOCK_FILE_NAME}`;
      }
      held.push(await listenOnFile(directory, path));
      return { release };
    } catch (error) {
      await release();
      throw error;
    }
  } catch (error) {
    throw ioError(error, 'locking the directory', directory);
  }
}

async function listenOnFile(directory: string, path: string): Promise<Server> {
  const first = await listen(path);
  if (first !== undefined) return first;
  const owner = await probe(path);
  if (owner !== undefined) throw refused(directory, owner);
  rmSync(path, { force: true });
  const second = await listen(path);
  if (second === undefined) throw refused(directory, await probe(path));
  return second;
}
