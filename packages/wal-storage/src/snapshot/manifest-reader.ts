/** Reading a snapshot's file back and checking every byte of it. */
import { createHash } from 'node:crypto';
import type { SnapshotChunkRef } from '@pact-journal/raft-core';
import { checksum, naturalField, parseSealedLine, stringField } from '../checksum.ts';
import { WalStorageError, ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { FORMAT_VERSION } from '../layout.ts';
import { readLines } from './line-reader.ts';
import type { Line } from './line-reader.ts';
import { parseHeader, parseSealed } from './manifest.ts';
import type { Header, Section } from './manifest.ts';

export interface ReadManifest extends Header {
  readonly sections: readonly Section[];
  readonly manifest: SnapshotChunkRef;
}

const NEWLINE = Buffer.from('\n', 'latin1');

/** Verifies the whole file. Fails with `corrupt` (file and line), `newerFormat`, `permission` or `io`. */
export async function readManifest(fileSystem: FileSystem, path: string): Promise<ReadManifest> {
  let sizeBytes: number | undefined;
  try {
    sizeBytes = await fileSystem.size(path);
    const file = await fileSystem.open(path, 'read');
    try {
      const hash = createHash('sha256');
      const parser = new ManifestParser(path);
      for await (const line of readLines(file, 0, sizeBytes ?? 0, (bytes) => hash.update(bytes)))
        parser.line(line);
      const { header, sections } = parser.result(sizeBytes ?? 0);
      return { ...header, sections, manifest: { sha256: hash.digest('hex'), sizeBytes: sizeBytes ?? 0 } };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw ioError(error, 'reading a snapshot', path);
  }
}

class ManifestParser {
  readonly #path: string;
  readonly #sections: Section[] = [];
  #header: Header | undefined;
  #lineNumber = 0;
  #end = 0;
  #ended = false;
  /** The open section whose records are being read. */
  #open: { readonly key: string; readonly offset: number; records: number; crc: number } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  line(line: Line): void {
    this.#lineNumber++;
    this.#end = line.offset + line.bytes.length + 1;
    if (this.#ended) this.#fail('stands after the end');
    const document = parseSealedLine(line.bytes, 0, line.bytes.length);
    if (this.#open !== undefined && document?.['kind'] !== 'close') {
      this.#open.crc = checksum(NEWLINE, checksum(line.bytes, this.#open.crc));
      this.#open.records +=
        document === undefined ? 1 : (naturalField(document, 'records') ?? this.#fail('is no record'));
      return;
    }
    if (document === undefined) return this.#fail('does not match its checksum');
    if (this.#header === undefined) return this.#readHeader(document);
    switch (document['kind']) {
      case 'sealed':
        this.#sections.push(parseSealed(document) ?? this.#fail('is not a section'));
        break;
      case 'open':
        this.#open = {
          key: stringField(document, 'key') ?? this.#fail('is not a section'),
          offset: this.#end,
          records: 0,
          crc: 0,
        };
        break;
      case 'close':
        this.#close(document, line.offset);
        break;
      case 'end':
        if (naturalField(document, 'sections') !== this.#sections.length)
          this.#fail('counts other sections than there are');
        this.#ended = true;
        break;
      default:
        this.#fail('is of no known kind');
    }
  }

  #readHeader(document: Readonly<Record<string, unknown>>): void {
    const format = naturalField(document, 'format');
    if (format !== undefined && format > FORMAT_VERSION) {
      const message = `${this.#path} has format ${format}, this version reads up to format ${FORMAT_VERSION}`;
      throw new WalStorageError('newerFormat', message, { path: this.#path });
    }
    this.#header = parseHeader(document) ?? this.#fail('is not the header of a snapshot');
  }

  #close(document: Readonly<Record<string, unknown>>, offset: number): void {
    const open = this.#open;
    if (open?.key !== document['key'] || open === undefined)
      return this.#fail('ends a section that was not begun');
    if (open.records !== document['records'] || open.crc !== document['records_crc32c']) {
      this.#fail(`ends section ${open.key}, the records of which do not match their checksum`);
    }
    const { key, records } = open;
    this.#sections.push({ kind: 'open', key, offset: open.offset, sizeBytes: offset - open.offset, records });
    this.#open = undefined;
  }

  result(sizeBytes: number): { readonly header: Header; readonly sections: readonly Section[] } {
    if (this.#header === undefined || !this.#ended || this.#end !== sizeBytes) {
      this.#lineNumber++;
      return this.#fail('is missing: the snapshot is half-written');
    }
    return { header: this.#header, sections: this.#sections };
  }

  #fail(reason: string): never {
    throw new WalStorageError('corrupt', `${this.#path}, line ${this.#lineNumber}: ${reason}`, {
      path: this.#path,
      line: this.#lineNumber,
    });
  }
}
