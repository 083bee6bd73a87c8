/** A file system in memory that does what disks do to those who trust them. */
import { dirname } from 'node:path';
import { WalStorageError } from '../errors.ts';
import type { DirectoryItem, DirectoryLock, FileSystem, OpenFile } from '../fs/file-system.ts';
import { MemoryDisk } from './memory-disk.ts';
import type { FileNode } from './memory-disk.ts';

export type SystemCall =
  | 'makeDirectory'
  | 'list'
  | 'size'
  | 'open'
  | 'read'
  | 'readSync'
  | 'write'
  | 'empty'
  | 'sync'
  | 'close'
  | 'rename'
  | 'remove'
  | 'syncDirectory';

/** A call that is to fail. */
export interface InjectedFault {
  readonly call: SystemCall;
  /** Only for paths that match. */
  readonly path?: RegExp;
  /** `EIO`, `ENOSPC`, `EACCES`, ... A `sync` that fails loses what was written: later ones succeed all the same. */
  readonly code: string;
  /** So often; once by default. */
  readonly times?: number;
  /** For `write`: so many bytes are written before it fails. */
  readonly writtenBytes?: number;
}

/** Called before each call takes effect; throwing makes the call fail. */
export type CallObserver = (call: SystemCall, path: string) => void;

interface ActiveFault extends InjectedFault {
  left: number;
}

function systemError(code: string, call: SystemCall, path: string): Error {
  return Object.assign(new Error(`${code}: ${call} ${path}`), { code, errno: -1, syscall: call });
}

/**
 * A {@link FileSystem} in memory. Without faults it behaves like a disk; {@link MemoryDisk.afterPowerCut} of `disk` is
 * what remains after a power cut.
 */
export class FaultyFileSystem implements FileSystem {
  readonly disk: MemoryDisk;
  readonly #faults: ActiveFault[] = [];
  readonly #locks = new Set<string>();
  #capacityBytes = Infinity;
  /** Sees every call. */
  observer: CallObserver | undefined;
  /** Number of calls so far, by kind. */
  readonly calls = new Map<SystemCall, number>();

  constructor(disk: MemoryDisk = new MemoryDisk()) {
    this.disk = disk;
  }

  /** Makes a call fail, from now on. */
  inject(fault: InjectedFault): void {
    this.#faults.push({ ...fault, left: fault.times ?? 1 });
  }

  /** Calls fail no more. */
  heal(): void {
    this.#faults.length = 0;
    this.#capacityBytes = Infinity;
  }

  /** The disk is full once all files together have this size; a write that goes beyond is cut short and fails. */
  limitCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** Flips one bit of a file, as rot does: durably and unnoticed. */
  flipBit(path: string, bit: number): void {
    const file = this.disk.file(path);
    this.disk.syncFile(file);
    const flipped = Uint8Array.from(file.current);
    flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
    file.current = flipped;
    file.durable = flipped;
  }

  /** Replaces a file's contents, creating it if need be: durably, and without any of the calls above. */
  put(path: string, content: Uint8Array): void {
    const file = this.disk.exists(path) ? this.disk.file(path) : this.disk.create(path);
    this.disk.syncFile(file);
    file.current = Uint8Array.from(content);
    file.durable = file.current;
    this.#syncParent(path);
  }

  /** Removes a file durably, without any of the calls above. */
  take(path: string): void {
    this.disk.remove(path);
    this.#syncParent(path);
  }

  #syncParent(path: string): void {
    this.disk.syncDirectory(this.disk.directory(path.slice(0, path.lastIndexOf('/'))));
  }

  /** The file's contents. */
  content(path: string): Uint8Array {
    return this.disk.file(path).current;
  }

  #enter(call: SystemCall, path: string): ActiveFault | undefined {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    this.observer?.(call, path);
    const fault = this.#faults.find(
      (candidate) => candidate.left > 0 && candidate.call === call && (candidate.path?.test(path) ?? true),
    );
    if (fault !== undefined) fault.left--;
    return fault;
  }

  /** Enters a call that either fails as a whole or does not. */
  #simple(call: SystemCall, path: string): void {
    const fault = this.#enter(call, path);
    if (fault !== undefined) throw systemError(fault.code, call, path);
  }

  async makeDirectory(path: string): Promise<void> {
    this.#simple('makeDirectory', path);
    this.disk.makeDirectory(path);
  }

  async list(path: string): Promise<readonly DirectoryItem[]> {
    this.#simple('list', path);
    return [...this.disk.directory(path).current].map(([name, { kind }]) => ({ name, kind }));
  }

  async size(path: string): Promise<number | undefined> {
    this.#simple('size', path);
    return this.disk.exists(path) ? this.disk.file(path).current.length : undefined;
  }

  async open(path: string, mode: 'read' | 'create' | 'update'): Promise<OpenFile> {
    this.#simple('open', path);
    const create = mode === 'create' || (mode === 'update' && !this.disk.exists(path));
    const file = create ? this.disk.create(path) : this.disk.file(path);
    const write = async (data: Uint8Array, position: number): Promise<void> =>
      this.#write(file, path, data, position);
    const sync = async (): Promise<void> => this.#sync(file, path);
    return {
      read: async (into, position) => {
        this.#simple('read', path);
        return copyRange(file, into, position);
      },
      write,
      writeDurably: async (data, position) => {
        await write(data, position);
        await sync();
      },
      empty: async () => {
        this.#simple('empty', path);
        this.disk.empty(file);
      },
      sync,
      close: async () => this.#simple('close', path),
    };
  }

  #write(file: FileNode, path: string, data: Uint8Array, position: number): void {
    const fault = this.#enter('write', path);
    if (fault !== undefined) {
      this.disk.write(file, position, data.subarray(0, fault.writtenBytes ?? 0));
      throw systemError(fault.code, 'write', path);
    }
    let used = 0;
    if (this.#capacityBytes !== Infinity)
      for (const [, content] of this.disk.contents()) used += content.length;
    const growth = Math.max(0, position + data.length - file.current.length);
    const missing = used + growth - this.#capacityBytes;
    if (growth > 0 && missing > 0) {
      this.disk.write(file, position, data.subarray(0, Math.max(0, data.length - missing)));
      throw systemError('ENOSPC', 'write', path);
    }
    this.disk.write(file, position, data);
  }

  #sync(file: FileNode, path: string): void {
    const fault = this.#enter('sync', path);
    if (fault !== undefined) {
      this.disk.forgetUnsynced(file);
      throw systemError(fault.code, 'sync', path);
    }
    this.disk.syncFile(file);
  }

  readSync(path: string, into: Uint8Array, position: number): number {
    this.#simple('readSync', path);
    return copyRange(this.disk.file(path), into, position);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#rename(from, to);
  }

  async renameDurably(from: string, to: string): Promise<void> {
    this.#rename(from, to);
    await this.syncDirectory(dirname(to));
  }

  #rename(from: string, to: string): void {
    this.#simple('rename', to);
    this.disk.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    this.#simple('remove', path);
    this.disk.remove(path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#simple('syncDirectory', path);
    this.disk.syncDirectory(this.disk.directory(path));
  }

  async lock(directory: string): Promise<DirectoryLock> {
    this.disk.makeDirectory(directory);
    if (this.#locks.has(directory)) {
      throw new WalStorageError('locked', `locking ${directory}: this process has it open already`, {
        path: directory,
      });
    }
    this.#locks.add(directory);
    return {
      release: async () => {
        this.#locks.delete(directory);
      },
    };
  }
}

function copyRange(file: FileNode, into: Uint8Array, position: number): number {
  const part = file.current.subarray(position, position + into.length);
  into.set(part);
  return part.length;
}
