/** Where backups are kept: named objects of bytes, written once, in a directory or a bucket. */

/** An object as a listing shows it. */
export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** When it was written, in milliseconds since 1970, by the store's clock. */
  readonly modifiedMs: number;
}

/** Bytes that are read while they are sent, so that a large object need not be in memory. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** Bytes from `offset` on, at most `maxBytes`, at least one before the end. */
  read(offset: number, maxBytes: number): Promise<Uint8Array>;
}

/**
 * A store of objects. Keys are `/`-separated names of letters, digits, `.`, `-` and `_`. All methods reject with
 * `BackupError`: `unavailable`, `slow`, `denied`, `full`, `checksumMismatch`, or what the method says.
 */
export interface ObjectStore {
  /** For messages; names no secrets. */
  readonly url: string;
  /**
   * False once the store is known to let two writers of one key both succeed at the same moment, so that whoever may have
   * been superseded must look before and after it creates something.
   */
  readonly exclusive: boolean;
  /**
   * Creates an object from bytes in memory. Durable when resolved; others see all of it or nothing. Rejects with
   * `exists` where there is one of that key: of several writers exactly one succeeds.
   */
  create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Writes an object of any size whose key says its content: whatever is there under the key is replaced. */
  write(key: string, source: ByteSource, signal?: AbortSignal): Promise<void>;
  /** A whole object. Rejects with `notFound`, and with `damaged` where it is larger than `maxBytes`. */
  get(key: string, maxBytes: number): Promise<Uint8Array>;
  /** Bytes from `offset` on, at most `maxBytes`, fewer only at the end. Rejects with `notFound`. */
  read(key: string, offset: number, maxBytes: number): Promise<Uint8Array>;
  /** Objects whose keys begin with `prefix` (which ends with `/`), after the key `after`, in ascending order. */
  list(prefix: string, after?: string): AsyncIterable<ObjectInfo>;
  /** Removes objects; those that are gone already are no error. */
  remove(keys: readonly string[]): Promise<void>;
  /**
   * Removes what writers that died have left in the folder `prefix` (which ends with `/`) and not touched since `beforeMs`
   * (milliseconds since 1970, by the store's clock). Nothing of it was ever an object. A store that clears up by itself
   * does nothing.
   */
  removeUnfinished(prefix: string, beforeMs: number): Promise<void>;
  close(): void;
}

const KEY = /^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*\/)*[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** Keys come from listings that somebody else may have a hand in: what is no key is not looked at. */
export function isKey(text: string): boolean {
  return text.length <= 512 && KEY.test(text);
}

export function assertKey(key: string): void {
  if (!isKey(key)) throw new Error(`assertion failed: ${JSON.stringify(key)} is an object's key`);
}

/** Collects a listing that is known to be small. */
export async function listAll(store: ObjectStore, prefix: string, after?: string): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  for await (const info of store.list(prefix, after)) found.push(info);
  return found;
}

/** Bytes in memory as a source. */
export function sourceOf(bytes: Uint8Array): ByteSource {
  return {
    sizeBytes: bytes.length,
    read: (offset, maxBytes) => Promise.resolve(bytes.subarray(offset, offset + maxBytes)),
  };
}
