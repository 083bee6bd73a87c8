/** Objects in a bucket, through the S3 API. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { BackupError } from '../errors.ts';
import { isTimeout, s3Error } from './s3-errors.ts';
import { assertKey, isKey, type ByteSource, type ObjectInfo, type ObjectStore } from './object-store.ts';

/** Larger objects go up in parts, of which at most {@link PARTS_IN_FLIGHT} are in memory. */
const PART_SIZE_BYTES = 8 * 1024 * 1024;
const PARTS_IN_FLIGHT = 2;
const REMOVED_AT_ONCE = 1_000;
const CONNECT_TIMEOUT_MS = 5_000;

export interface S3StoreOptions {
  readonly bucket: string;
  /** Before every key; empty, or ends with `/`. */
  readonly prefix: string;
  /** Undefined: AWS, or what the SDK's own settings say. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** The bucket in the path instead of the host's name, as most servers other than AWS want it. */
  readonly pathStyle: boolean;
  /** `AES256` or `aws:kms`; undefined: as the bucket says. */
  readonly encryption: 'AES256' | 'aws:kms' | undefined;
  readonly kmsKeyId: string | undefined;
  /** Silence of this long is a request that failed. */
  readonly requestTimeoutMs: number;
}

export class S3Store implements ObjectStore {
  readonly url: string;
  readonly #options: S3StoreOptions;
  readonly #client: S3Client;
  /** Whether the server honours If-None-Match; undefined before the first object was created. */
  #conditional: boolean | undefined;

  /** Credentials come by the SDK's usual chain: environment, shared files, web identity, instance metadata. */
  constructor(options: S3StoreOptions) {
    const { bucket, prefix, endpoint, region, pathStyle, requestTimeoutMs } = options;
    this.#options = options;
    this.url = `s3://${bucket}/${prefix}`;
    this.#client = new S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      forcePathStyle: pathStyle,
      maxAttempts: 2,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: requestTimeoutMs,
        // Otherwise it only warns, and a store that hangs is waited for without end.
        throwOnRequestTimeout: true,
      },
    });
  }

  get exclusive(): boolean {
    return this.#conditional ?? true;
  }

  /** Rejects where neither the options nor the SDK's own settings name a region, without which it signs no request. */
  async requireRegion(): Promise<void> {
    await this.#client.config.region();
  }

  async create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#run('writing', key, async () => {
      const honoured = await this.#honoursConditions(signal);
      // Not atomic, which is why such a server is told of in the documentation; fencing by term is what is left.
      if (!honoured && (await this.#has(key, signal))) throw exists(key);
      await this.#create(key, bytes, honoured, signal);
    });
  }

  async #create(
    key: string,
    bytes: Uint8Array,
    conditional: boolean,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const condition = conditional ? { IfNoneMatch: '*' } : {};
    await this.#client.send(
      new PutObjectCommand({ ...this.#target(key), Body: bytes, ...condition }),
      requestOptions(signal),
    );
  }

  /** Asks the server for something that it must refuse: to create an object that is there. */
  async #honoursConditions(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#conditional !== undefined) return this.#conditional;
    const probe = `probe-${randomUUID()}`;
    try {
      for (let attempt = 0; attempt < 2; attempt += 1)
        await this.#create(probe, Buffer.from('conditional\n'), true, signal);
      this.#conditional = false;
    } catch (error) {
      // A server may ignore the condition, or refuse any request that has one.
      const refused = error instanceof Error && error.name === 'NotImplemented';
      if (!refused && !isPrecondition(error)) throw error;
      this.#conditional = !refused;
    } finally {
      await this.remove([probe]).catch(() => undefined);
    }
    return this.#conditional;
  }

  async #has(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#client.send(new HeadObjectCommand(this.#at(key)), requestOptions(signal));
      return true;
    } catch (error) {
      if (error instanceof Error && error.name === 'NotFound') return false;
      throw error;
    }
  }

  async write(key: string, source: ByteSource, signal?: AbortSignal): Promise<void> {
    await this.#run('writing', key, async () => {
      if (source.sizeBytes <= PART_SIZE_BYTES) {
        const bytes = Buffer.concat(await collect(source));
        await this.#client.send(
          new PutObjectCommand({ ...this.#target(key), Body: bytes }),
          requestOptions(signal),
        );
        return;
      }
      const upload = new Upload({
        client: this.#client,
        params: { ...this.#target(key), Body: Readable.from(pieces(source)) },
        partSize: PART_SIZE_BYTES,
        queueSize: PARTS_IN_FLIGHT,
      });
      const abort = (): void => void upload.abort();
      signal?.addEventListener('abort', abort, { once: true });
      try {
        await upload.done();
      } finally {
        signal?.removeEventListener('abort', abort);
      }
    });
  }

  async get(key: string, maxBytes: number): Promise<Uint8Array> {
    const bytes = await this.#get(key, undefined, maxBytes);
    if (bytes.length <= maxBytes) return bytes;
    throw new BackupError('damaged', `${key}: is larger than the ${String(maxBytes)} bytes that make sense`, {
      key,
    });
  }

  async read(key: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    const range = `bytes=${String(offset)}-${String(offset + maxBytes - 1)}`;
    return this.#get(key, range, maxBytes).catch((error: unknown) => {
      if (error instanceof BackupError && error.cause instanceof Error && error.cause.name === 'InvalidRange')
        return new Uint8Array(0);
      throw error;
    });
  }

  #get(key: string, range: string | undefined, maxBytes: number): Promise<Uint8Array> {
    return this.#run('reading', key, async () => {
      const { Body, ContentLength } = await this.#client.send(
        new GetObjectCommand({ ...this.#at(key), ...(range === undefined ? {} : { Range: range }) }),
        requestOptions(undefined),
      );
      if (Body === undefined) return new Uint8Array(0);
      if (ContentLength !== undefined && ContentLength > maxBytes) {
        const what = `has ${String(ContentLength)} bytes, at most ${String(maxBytes)} make sense`;
        throw new BackupError('damaged', `${key}: ${what}`, { key });
      }
      return Body.transformToByteArray();
    });
  }

  async *list(prefix: string, after?: string): AsyncGenerator<ObjectInfo> {
    const { bucket, prefix: base } = this.#options;
    let token: string | undefined;
    do {
      const page = await this.#run('listing', prefix, () =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: base + prefix,
            ...(after === undefined || token !== undefined ? {} : { StartAfter: base + after }),
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
          requestOptions(undefined),
        ),
      );
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        const key = Key.slice(base.length);
        const direct = key.startsWith(prefix) && !key.slice(prefix.length).includes('/');
        if (direct && isKey(key) && (after === undefined || key > after))
          yield { key, sizeBytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += REMOVED_AT_ONCE) {
      const some = keys.slice(from, from + REMOVED_AT_ONCE);
      const { Errors = [] } = await this.#run('removing', some[0] ?? '', () =>
        this.#client.send(
          new DeleteObjectsCommand({
            Bucket: this.#options.bucket,
            Delete: { Objects: some.map((key) => ({ Key: this.#options.prefix + key })), Quiet: true },
          }),
          requestOptions(undefined),
        ),
      );
      const [first] = Errors;
      if (first !== undefined)
        throw new BackupError(
          'denied',
          `removing ${first.Key ?? 'an object'}: the store answers ${first.Code ?? 'an error'}`,
        );
    }
  }

  /** The parts of an upload that was not completed are no objects; a rule of the bucket's lifecycle clears them up. */
  removeUnfinished(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#client.destroy();
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    assertKey(key);
    return { Bucket: this.#options.bucket, Key: this.#options.prefix + key };
  }

  /** The server checks a SHA-256 of what it receives, and encrypts as it is told to. */
  #target(key: string): PutObjectCommandInput {
    const { encryption, kmsKeyId } = this.#options;
    return {
      ...this.#at(key),
      ChecksumAlgorithm: 'SHA256',
      ...(encryption === undefined ? {} : { ServerSideEncryption: encryption }),
      ...(kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId }),
    };
  }

  async #run<Result>(doing: string, key: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof BackupError) throw error;
      if (isPrecondition(error)) throw exists(key, error);
      throw s3Error(error, `${doing} ${key} in ${this.url}`, key);
    }
  }
}

function requestOptions(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function exists(key: string, cause?: unknown): BackupError {
  return new BackupError('exists', `writing ${key}: there is such an object already`, { key, cause });
}

/** 412 where there is an object, 409 where another request is creating one. */
function isPrecondition(error: unknown): boolean {
  return (
    error instanceof Error &&
    !isTimeout(error) &&
    (error.name === 'PreconditionFailed' || error.name === 'ConditionalRequestConflict')
  );
}

async function* pieces(source: ByteSource): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < source.sizeBytes;) {
    const bytes = await source.read(offset, PART_SIZE_BYTES);
    // The source may read into the same memory again.
    yield Uint8Array.from(bytes);
    offset += bytes.length;
  }
}

async function collect(source: ByteSource): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces(source)) parts.push(piece);
  return parts;
}
