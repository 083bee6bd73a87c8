/** Writing a snapshot's file piece by piece: no string or buffer of the size of the state is ever built. */
import { createHash } from 'node:crypto';
import type { SnapshotChunkRef } from '@pact-journal/raft-core';
import { checksum, sealDocument } from '../checksum.ts';
import type { JsonObject } from '../checksum.ts';
import type { OpenFile } from '../fs/file-system.ts';
import type { PayloadFormat } from '../log/line.ts';
import { Slices } from '../slices.ts';
import { sealedDocument } from './manifest.ts';
import type { OpenSection, SealedSection, Section } from './manifest.ts';
import { encodeOpenSection } from './open-section.ts';

const BUFFER_SIZE_BYTES = 256 * 1024;

export class ManifestWriter {
  readonly #file: OpenFile;
  readonly #slices = new Slices();
  readonly #hash = createHash('sha256');
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_SIZE_BYTES);
  #buffered = 0;
  #flushed = 0;
  /** Of everything since the open section's records began. */
  #crc = 0;
  readonly sections: Section[] = [];

  constructor(file: OpenFile) {
    this.#file = file;
  }

  get #position(): number {
    return this.#flushed + this.#buffered;
  }

  async document(fields: JsonObject): Promise<void> {
    await this.#put(sealDocument(fields));
  }

  async sealed(section: SealedSection): Promise<void> {
    await this.document(sealedDocument(section));
    this.sections.push(section);
  }

  async open(key: string, records: Iterable<Uint8Array>, format: PayloadFormat): Promise<void> {
    await this.document({ kind: 'open', key });
    const offset = this.#position;
    this.#crc = 0;
    const parts = encodeOpenSection(records, format);
    let part = parts.next();
    for (; part.done !== true; part = parts.next()) {
      await this.#put(part.value);
      await this.#slices.breathe();
    }
    const count = part.value;
    const section: OpenSection = {
      kind: 'open',
      key,
      offset,
      sizeBytes: this.#position - offset,
      records: count,
    };
    await this.document({ kind: 'close', key, records: count, records_crc32c: this.#crc });
    this.sections.push(section);
  }

  /** Writes the last line and makes the file durable. */
  async finish(): Promise<SnapshotChunkRef> {
    await this.document({ kind: 'end', sections: this.sections.length });
    await this.#flush();
    await this.#file.sync();
    return { sha256: this.#hash.digest('hex'), sizeBytes: this.#flushed };
  }

  async #put(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + this.#buffer.length - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#crc = checksum(part, this.#crc);
      this.#buffered += part.length;
      from += part.length;
      if (this.#buffered === this.#buffer.length) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#buffered);
    this.#hash.update(bytes);
    await this.#file.write(bytes, this.#flushed);
    this.#flushed += this.#buffered;
    this.#buffered = 0;
    await this.#slices.breathe();
  }
}
