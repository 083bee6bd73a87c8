/** A store that is read from, with the bytes that were read. */
import type { ByteSource, ObjectInfo, ObjectStore } from './object-store.ts';

export class CountedStore implements ObjectStore {
  readonly #store: ObjectStore;
  #readBytes = 0;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Of objects' content, whether read once or again; listings do not count. */
  get readBytes(): number {
    return this.#readBytes;
  }

  get url(): string {
    return this.#store.url;
  }

  get exclusive(): boolean {
    return this.#store.exclusive;
  }

  create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#store.create(key, bytes, signal);
  }

  write(key: string, source: ByteSource, signal?: AbortSignal): Promise<void> {
    return this.#store.write(key, source, signal);
  }

  async get(key: string, maxBytes: number): Promise<Uint8Array> {
    return this.#count(await this.#store.get(key, maxBytes));
  }

  async read(key: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    return this.#count(await this.#store.read(key, offset, maxBytes));
  }

  list(prefix: string, after?: string): AsyncIterable<ObjectInfo> {
    return this.#store.list(prefix, after);
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.#store.remove(keys);
  }

  removeUnfinished(prefix: string, beforeMs: number): Promise<void> {
    return this.#store.removeUnfinished(prefix, beforeMs);
  }

  close(): void {
    this.#store.close();
  }

  #count(bytes: Uint8Array): Uint8Array {
    this.#readBytes += bytes.length;
    return bytes;
  }
}
