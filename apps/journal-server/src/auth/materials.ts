/** Certificates and keys on disk, read again while the server runs. */
import { createHash, createPrivateKey, type X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { ServerConfig } from '../config/index.ts';
import { ServerError } from '../server/errors.ts';
import { parseCertificates } from './certificates.ts';

/** A certificate with its key, and the authorities that the other side must be of. PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
  /** Undefined: the other side is not asked for a certificate. */
  readonly ca: string | undefined;
  readonly authorities: readonly X509Certificate[];
  /** Whom the certificate names. */
  readonly name: string;
  /** Of the certificate, in ms of Date.now. */
  readonly expiresAtMs: number;
}

/** Undefined where a port has no TLS. */
export interface TlsFiles {
  readonly client: Identity | undefined;
  readonly peer: Identity | undefined;
}

export interface MaterialsOptions {
  readonly config: Pick<ServerConfig, 'tls' | 'peer'>;
  /** Told of new files that cannot be used; the old ones stay in use. */
  readonly onFailure: (reason: string) => void;
}

/**
 * What the files hold. They are compared by content, not watched: certificates are replaced by renames, links to other
 * directories and copies over a network, and none of that tells reliably.
 */
export class Materials {
  readonly #options: MaterialsOptions;
  #files: TlsFiles;
  #digest: string;
  #timer: NodeJS.Timeout | undefined;
  #failure = '';
  #listener: (files: TlsFiles) => void = () => undefined;

  private constructor(options: MaterialsOptions, files: TlsFiles, digest: string) {
    this.#options = options;
    this.#files = files;
    this.#digest = digest;
    const { tls, peer } = options.config;
    if (tls.cert === '' && peer.cert === '') return;
    this.#timer = setInterval(() => void this.reload(), tls.reloadInterval).unref();
  }

  /** Fails with {@link ServerError} `refused` where a file is missing or does not fit the others. */
  static async load(options: MaterialsOptions): Promise<Materials> {
    try {
      const { files, digest } = await readAll(options.config);
      return new Materials(options, files, digest);
    } catch (error) {
      throw new ServerError('refused', reasonOf(error), { cause: error });
    }
  }

  get files(): TlsFiles {
    return this.#files;
  }

  /** Told of new files that are used from now on. One listener. */
  onChange(listener: (files: TlsFiles) => void): void {
    this.#listener = listener;
  }

  /** Reads them again. Never rejects. */
  async reload(): Promise<void> {
    try {
      const { files, digest } = await readAll(this.#options.config);
      this.#failure = '';
      if (digest === this.#digest) return;
      this.#digest = digest;
      this.#files = files;
      this.#listener(files);
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== this.#failure) this.#options.onFailure(reason);
      this.#failure = reason;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

async function readAll({
  tls,
  peer,
}: Pick<ServerConfig, 'tls' | 'peer'>): Promise<{ files: TlsFiles; digest: string }> {
  const client = await readIdentity('tls', { ...tls, ca: tls.clientCa, caKey: 'tls.client_ca' });
  const member = await readIdentity('peer', { ...peer, caKey: 'peer.ca' });
  if (client?.authorities.some((one) => member?.authorities.some((other) => other.raw.equals(one.raw)))) {
    throw new Error(
      'tls.client_ca and peer.ca hold the same authority; members need one of their own, or a compute node could be one',
    );
  }
  const texts = [client, member].flatMap((one) => [one?.cert, one?.key, one?.ca]);
  const digest = createHash('sha256').update(JSON.stringify(texts)).digest('hex');
  return { files: { client, peer: member }, digest };
}

interface Paths {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly caKey: string;
}

async function readIdentity(section: string, paths: Paths): Promise<Identity | undefined> {
  if (paths.cert === '') return undefined;
  const cert = await readPem(`${section}.cert`, paths.cert);
  const key = await readPem(`${section}.key`, paths.key);
  const ca = paths.ca === '' ? undefined : await readPem(paths.caKey, paths.ca);
  const [leaf] = certificatesOf(`${section}.cert`, paths.cert, cert);
  const authorities = ca === undefined ? [] : certificatesOf(paths.caKey, paths.ca, ca);
  if (leaf === undefined) throw new Error(`${section}.cert: ${paths.cert} holds no certificate`);
  if (!leaf.checkPrivateKey(privateKeyOf(`${section}.key`, paths.key, key)))
    throw new Error(`${section}.key: ${paths.key} is not the key of the certificate in ${paths.cert}`);
  // What else OpenSSL may not like is found out now, not at the first connection.
  createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
  const name = leaf.subjectAltName ?? leaf.subject.replaceAll('\n', ', ');
  return { cert, key, ca, authorities, name, expiresAtMs: leaf.validToDate.getTime() };
}

async function readPem(setting: string, path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(`${setting}: ${reasonOf(error)}`, { cause: error });
  });
}

function certificatesOf(setting: string, path: string, pem: string): readonly X509Certificate[] {
  const found = parsed(setting, path, pem);
  if (found.length === 0) throw new Error(`${setting}: ${path} holds no certificate in PEM`);
  return found;
}

function parsed(setting: string, path: string, pem: string): readonly X509Certificate[] {
  try {
    return parseCertificates(pem);
  } catch (error) {
    throw new Error(`${setting}: ${path} holds a damaged certificate`, { cause: error });
  }
}

function privateKeyOf(setting: string, path: string, pem: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new Error(`${setting}: ${path} holds no private key in PEM without a passphrase`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
