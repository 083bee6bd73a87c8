/**
 * What this package asks of a disk, and nothing else asks a disk for anything: put a faulty one under it and every
 * system call is a place where it can fail.
 *
 * Two facts shape it (POSIX, and ext4 in particular): written data is durable only after the file's `sync`, and a new,
 * renamed or removed name only after `syncDirectory` of its directory; both may reach the disk in any order before.
 * Errors are the system's own (`code` is `ENOENT`, `ENOSPC`, ...).
 */

/** An open file. */
export interface OpenFile {
  /** Fills `into` from `position` on; fewer bytes than asked only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Writes all of `data` at `position`, or rejects: a short write is an error. Not durable before `sync`. */
  write(data: Uint8Array, position: number): Promise<void>;
  /** Takes the contents away. Not durable before `sync`. */
  empty(): Promise<void>;
  /** `write`, then `sync`. Small data is with the operating system, and the sync begun, when it returns. */
  writeDurably(data: Uint8Array, position: number): Promise<void>;
  /** Contents and size are durable when it resolves. Never call it again after it has failed: see hazards of fsync. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface DirectoryItem {
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
}

/** Ownership of a directory; given up by `release` and by the end of the process, however it ends. */
export interface DirectoryLock {
  release(): Promise<void>;
}

export interface FileSystem {
  /** Creates the directory and its missing parents; durable only after `syncDirectory` of each parent. */
  makeDirectory(path: string): Promise<void>;
  /** Rejects with `ENOENT` for a missing directory. In no order. */
  list(path: string): Promise<readonly DirectoryItem[]>;
  /** Size in bytes, or undefined where there is no such file. */
  size(path: string): Promise<number | undefined>;
  /** `create` fails with `EEXIST`; `update` creates the file if need be and keeps its contents. */
  open(path: string, mode: 'read' | 'create' | 'update'): Promise<OpenFile>;
  /**
   * Fills `into` from `position` on and returns the number of bytes read, blocking. For the log's synchronous readers
   * and for recovery, which would spend its time in thread switches otherwise. Callers bound what they ask for.
   */
  readSync(path: string, into: Uint8Array, position: number): number;
  /** Atomic; replaces `to`. */
  rename(from: string, to: string): Promise<void>;
  /** `rename`, then `syncDirectory` of where `to` is. The name is changed, and the sync begun, when it returns. */
  renameDurably(from: string, to: string): Promise<void>;
  /** Removes a file. A missing one is no error. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Makes this process the only one that uses the directory. Fails with `WalStorageError` `locked`. */
  lock(directory: string): Promise<DirectoryLock>;
}
