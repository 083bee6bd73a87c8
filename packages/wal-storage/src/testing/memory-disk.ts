/**
 * What a disk holds and what it would hold after a power cut: contents and names become durable separately, contents by
 * the file's sync, names by the directory's, and everything else may be lost, torn, or kept in any combination.
 */

export interface FileNode {
  readonly kind: 'file';
  durable: Uint8Array;
  current: Uint8Array;
}

export interface DirectoryNode {
  readonly kind: 'directory';
  readonly durable: Map<string, DiskNode>;
  readonly current: Map<string, DiskNode>;
}

export type DiskNode = FileNode | DirectoryNode;

/** A change of one name; no node means that the name is removed. */
interface NameChange {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: DiskNode | undefined;
}

/** Something that was done and would not survive a power cut for certain. */
type Pending =
  | { readonly kind: 'write'; readonly file: FileNode; readonly position: number; readonly data: Uint8Array }
  | { readonly kind: 'empty'; readonly file: FileNode }
  /** Changes that happen together or not at all: a rename has two. */
  | { readonly kind: 'names'; readonly changes: readonly NameChange[] };

/** Which part of a pending write reached the disk: a range of its bytes, in order. */
export type Fate = 'lost' | 'kept' | { readonly from: number; readonly to: number };

/** More unsynced writes of one file than this, and the oldest reaches the disk on its own. */
const PENDING_WRITES_A_FILE_MAX = 3;

function emptyDirectory(): DirectoryNode {
  return { kind: 'directory', durable: new Map(), current: new Map() };
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, errno: -1 });
}

function written(content: Uint8Array, position: number, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.max(content.length, position + data.length));
  result.set(content);
  result.set(data, position);
  return result;
}

export class MemoryDisk {
  readonly #root: DirectoryNode;
  #pending: Pending[] = [];

  constructor(root: DirectoryNode = emptyDirectory()) {
    this.#root = root;
  }

  #steps(path: string): string[] {
    return path.split('/').filter((step) => step !== '' && step !== '.');
  }

  #find(path: string): DiskNode | undefined {
    let node: DiskNode | undefined = this.#root;
    for (const step of this.#steps(path))
      node = node?.kind === 'directory' ? node.current.get(step) : undefined;
    return node;
  }

  file(path: string): FileNode {
    const node = this.#find(path);
    if (node === undefined) throw systemError('ENOENT', path);
    if (node.kind === 'directory') throw systemError('EISDIR', path);
    return node;
  }

  directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (node === undefined) throw systemError('ENOENT', path);
    if (node.kind === 'file') throw systemError('ENOTDIR', path);
    return node;
  }

  exists(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  #place(path: string): { readonly directory: DirectoryNode; readonly name: string } {
    const steps = this.#steps(path);
    const name = steps.pop();
    if (name === undefined) throw systemError('EINVAL', path);
    return { directory: this.directory(steps.join('/')), name };
  }

  #change(changes: readonly NameChange[]): void {
    for (const { directory, name, node } of changes) {
      if (node === undefined) directory.current.delete(name);
      else directory.current.set(name, node);
    }
    this.#pending.push({ kind: 'names', changes });
  }

  makeDirectory(path: string): void {
    const steps = this.#steps(path);
    for (let length = 1; length <= steps.length; length++) {
      const prefix = steps.slice(0, length).join('/');
      const found = this.#find(prefix);
      if (found === undefined) this.#change([{ ...this.#place(prefix), node: emptyDirectory() }]);
      else if (found.kind === 'file') throw systemError('EEXIST', path);
    }
  }

  create(path: string): FileNode {
    if (this.exists(path)) throw systemError('EEXIST', path);
    const node: FileNode = { kind: 'file', durable: new Uint8Array(), current: new Uint8Array() };
    this.#change([{ ...this.#place(path), node }]);
    return node;
  }

  remove(path: string): void {
    if (!this.exists(path)) return;
    this.file(path);
    this.#change([{ ...this.#place(path), node: undefined }]);
  }

  rename(from: string, to: string): void {
    const node = this.#find(from);
    if (node === undefined) throw systemError('ENOENT', from);
    this.#change([
      { ...this.#place(to), node },
      { ...this.#place(from), node: undefined },
    ]);
  }

  write(file: FileNode, position: number, data: Uint8Array): void {
    if (data.length === 0) return;
    file.current = written(file.current, position, data);
    this.#pending.push({ kind: 'write', file, position, data: Uint8Array.from(data) });
    const own = this.#pending.filter((item) => item.kind === 'write' && item.file === file);
    if (own.length > PENDING_WRITES_A_FILE_MAX) this.#settle((item) => item === own[0]);
  }

  empty(file: FileNode): void {
    file.current = new Uint8Array();
    this.#pending.push({ kind: 'empty', file });
  }

  syncFile(file: FileNode): void {
    this.#settle((item) => isContentsOf(item, file));
  }

  syncDirectory(directory: DirectoryNode): void {
    this.#settle(
      (item) => item.kind === 'names' && item.changes.some((change) => change.directory === directory),
    );
  }

  /** Forgets what was written to a file and not synced, as a kernel does whose write-back failed. Reads still see it. */
  forgetUnsynced(file: FileNode): void {
    this.#pending = this.#pending.filter((item) => !isContentsOf(item, file));
  }

  #settle(which: (item: Pending) => boolean): void {
    for (const item of this.#pending) if (which(item)) apply(item, 'kept');
    this.#pending = this.#pending.filter((item) => !which(item));
  }

  /** Sizes of the unsynced writes in order of time, 0 for what cannot be torn. */
  pendingSizes(): readonly number[] {
    return this.#pending.map((item) => (item.kind === 'write' ? item.data.length : 0));
  }

  /** The same disk once more, unsynced operations and all: what the next process finds after a `kill -9`. */
  fork(): MemoryDisk {
    const copies = new Copies('current');
    const disk = new MemoryDisk(asDirectory(copies.of(this.#root)));
    disk.#pending = this.#pending.map((item) => copies.ofPending(item));
    return disk;
  }

  /** The disk after a power cut, with this fate for each pending item. This disk is not touched. */
  afterPowerCut(fates: readonly Fate[]): MemoryDisk {
    const copies = new Copies('durable');
    const root = asDirectory(copies.of(this.#root));
    for (const [position, item] of this.#pending.entries()) {
      apply(copies.ofPending(item), fates[position] ?? 'lost');
    }
    copies.forgetUnsynced();
    return new MemoryDisk(root);
  }

  /** The disk after a clean shutdown: everything arrived. This disk is not touched. */
  afterShutdown(): MemoryDisk {
    return this.afterPowerCut(this.#pending.map(() => 'kept'));
  }

  /** Every file with its contents, by path. For comparing disks. */
  *contents(): Generator<readonly [path: string, content: Uint8Array]> {
    yield* walk('', this.#root);
  }
}

/** Copies of nodes that refer to each other as the originals do. */
class Copies {
  readonly #copies = new Map<DiskNode, DiskNode>();
  readonly #what: 'durable' | 'current';

  /** `durable` follows durable names only; nodes without one are copied when they are asked for. */
  constructor(what: 'durable' | 'current') {
    this.#what = what;
  }

  of(node: DiskNode): DiskNode {
    const known = this.#copies.get(node);
    if (known !== undefined) return known;
    if (node.kind === 'file') {
      const file: FileNode = { kind: 'file', durable: node.durable, current: node.current };
      this.#copies.set(node, file);
      return file;
    }
    const directory = emptyDirectory();
    this.#copies.set(node, directory);
    for (const [name, child] of node.durable) directory.durable.set(name, this.of(child));
    if (this.#what === 'current')
      for (const [name, child] of node.current) directory.current.set(name, this.of(child));
    return directory;
  }

  ofPending(item: Pending): Pending {
    if (item.kind !== 'names') return { ...item, file: asFile(this.of(item.file)) };
    const changes = item.changes.map(({ directory, name, node }) => ({
      directory: asDirectory(this.of(directory)),
      name,
      node: node === undefined ? undefined : this.of(node),
    }));
    return { kind: 'names', changes };
  }

  forgetUnsynced(): void {
    for (const node of this.#copies.values()) {
      if (node.kind === 'file') node.current = node.durable;
      else for (const [name, child] of node.durable) node.current.set(name, child);
    }
  }
}

function* walk(prefix: string, directory: DirectoryNode): Generator<readonly [string, Uint8Array]> {
  for (const [name, node] of [...directory.current].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (node.kind === 'file') yield [`${prefix}/${name}`, node.current];
    else yield* walk(`${prefix}/${name}`, node);
  }
}

function asFile(node: DiskNode): FileNode {
  if (node.kind !== 'file') throw new Error('a file was expected');
  return node;
}

function asDirectory(node: DiskNode): DirectoryNode {
  if (node.kind !== 'directory') throw new Error('a directory was expected');
  return node;
}

function isContentsOf(item: Pending, file: FileNode): boolean {
  return item.kind !== 'names' && item.file === file;
}

/** Makes a pending item durable, as far as its fate says. */
function apply(item: Pending, fate: Fate): void {
  if (fate === 'lost') return;
  if (item.kind === 'write') {
    const { from, to } = fate === 'kept' ? { from: 0, to: item.data.length } : fate;
    item.file.durable = written(item.file.durable, item.position + from, item.data.subarray(from, to));
    return;
  }
  if (item.kind === 'empty') {
    item.file.durable = new Uint8Array();
    return;
  }
  for (const { directory, name, node } of item.changes) {
    if (node === undefined) directory.durable.delete(name);
    else directory.durable.set(name, node);
  }
}
