/** Who holds a port, where the platform tells: /proc/net/tcp has the socket's inode, /proc/PID/fd who has it open. */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface PortHolder {
  readonly pid: number;
  /** Name and first arguments, at most 80 characters. */
  readonly command: string;
}

/** State `TCP_LISTEN` of proc(5), in hexadecimal. */
const LISTEN = '0A';

/** The process that listens on the TCP port, or else is connected from it; undefined where that cannot be found out. */
export async function portHolder(port: number): Promise<PortHolder | undefined> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  );
  const sockets = tables.flatMap((table) => socketsOn(table, port));
  const listening = sockets.filter((socket) => socket.listening);
  // Without a listener it is the near end of somebody's connection.
  const inodes = new Set((listening.length > 0 ? listening : sockets).map((socket) => socket.name));
  if (inodes.size === 0) return undefined;
  const processes = await readdir('/proc').catch(() => []);
  for (const pid of processes.filter((name) => /^\d+$/.test(name))) {
    if (await hasSocket(pid, inodes)) return { pid: Number(pid), command: await commandLine(pid) };
  }
  return undefined;
}

interface BoundSocket {
  /** As it is shown in /proc/PID/fd. */
  readonly name: string;
  readonly listening: boolean;
}

function socketsOn(table: string, port: number): readonly BoundSocket[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (local?.endsWith(suffix) !== true || inode === undefined || inode === '0') return [];
    return [{ name: `socket:[${inode}]`, listening: state === LISTEN }];
  });
}

async function hasSocket(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    if (sockets.has(await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => ''))) return true;
  }
  return false;
}

async function commandLine(pid: string): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const shown = text.split('\0').join(' ').trim();
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown || 'unknown';
}
