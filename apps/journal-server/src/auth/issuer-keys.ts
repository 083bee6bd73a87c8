/** The public keys of an OpenID provider: found by discovery, kept while it is away, asked for anew when it rotates. */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { isLoopback } from '../config/index.ts';
import { AuthError } from './errors.ts';

export interface IssuerKeysOptions {
  readonly issuer: string;
  /** Told where keys could not be had. */
  readonly onFailure: (reason: string) => void;
  /** Told when the provider has other keys than before: what was signed with one that is gone counts no more. */
  readonly onChange: () => void;
  /** Between two questions for keys at least, in ms, whatever tokens come. 30,000 by default. */
  readonly cooldownMs?: number;
  /** After this, keys are asked for anew beside the calls, in ms. 600,000 by default. */
  readonly maxAgeMs?: number;
  /** Keys that could not be renewed for this long are not used any more, in ms. A day by default. */
  readonly staleMaxMs?: number;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** While there are no keys at all, every call waits for them: ask more often than when it is only about new ones. */
const RETRY_MS = 1_000;
const REQUEST_TIMEOUT_MS = 5_000;
const DOCUMENT_SIZE_BYTES_MAX = 512 * 1024;
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP']);

export class IssuerKeys {
  readonly #options: Required<IssuerKeysOptions>;
  #keys: KeySet | undefined;
  #text = '';
  /** Milliseconds of performance.now. */
  #loadedMs = -Infinity;
  #askedMs = -Infinity;
  #asking: Promise<void> | undefined;

  constructor(options: IssuerKeysOptions) {
    this.#options = { cooldownMs: 30_000, maxAgeMs: 600_000, staleMaxMs: 86_400_000, ...options };
  }

  /** For jose. Nothing in a token decides where keys come from: `jku`, `x5u`, `jwk` and `x5c` are not looked at. */
  readonly key: JWTVerifyGetKey = async (header, token) => {
    const known = await this.#known();
    try {
      return await known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayAsk(this.#options.cooldownMs))
        throw error;
      await this.#ask();
      return (this.#keys ?? known)(header, token);
    }
  };

  async #known(): Promise<KeySet> {
    const { cooldownMs, maxAgeMs, staleMaxMs } = this.#options;
    const ageMs = performance.now() - this.#loadedMs;
    if (this.#keys === undefined || ageMs > staleMaxMs) {
      if (this.#asking !== undefined || this.#mayAsk(RETRY_MS)) await this.#ask();
    } else if (ageMs > maxAgeMs && this.#mayAsk(cooldownMs)) void this.#ask();
    if (this.#keys === undefined || performance.now() - this.#loadedMs > staleMaxMs)
      throw new AuthError('issuerUnavailable', 'the OpenID provider does not answer; try again later');
    return this.#keys;
  }

  #mayAsk(intervalMs: number): boolean {
    return performance.now() - this.#askedMs >= intervalMs;
  }

  /** One question at a time, for however many calls. Never rejects. */
  #ask(): Promise<void> {
    this.#askedMs = performance.now();
    this.#asking ??= this.#load()
      .then(
        (keys) => {
          const text = JSON.stringify(keys);
          if (this.#keys !== undefined && text !== this.#text) this.#options.onChange();
          this.#text = text;
          this.#keys = createLocalJWKSet(keys);
          this.#loadedMs = performance.now();
        },
        (error: unknown) => {
          const cause =
            error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
          this.#options.onFailure(`${error instanceof Error ? error.message : String(error)}${cause}`);
        },
      )
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  async #load(): Promise<JSONWebKeySet> {
    const { issuer } = this.#options;
    const about = await document(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    if (about['issuer'] !== issuer)
      throw new Error(
        `the provider calls itself ${JSON.stringify(about['issuer'])}; auth.issuer must say the same`,
      );
    const address = about['jwks_uri'];
    if (typeof address !== 'string' || !isTrustworthy(address))
      throw new Error(`the provider's jwks_uri ${JSON.stringify(address)} is not an https address`);
    const { keys } = await document(address);
    if (!Array.isArray(keys)) throw new Error(`${address} does not answer a set of keys`);
    return { keys: keys.filter(isPublicKey) };
  }
}

function isTrustworthy(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[|\]$/g, '')));
}

function isPublicKey(key: unknown): key is JSONWebKeySet['keys'][number] {
  if (typeof key !== 'object' || key === null || !('kty' in key)) return false;
  return KEY_TYPES.has(key.kty) && !('use' in key && key.use === 'enc');
}

async function document(address: string): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(address, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  }).catch((error: unknown) => {
    throw new Error(`${address} cannot be read`, { cause: error });
  });
  if (!response.ok || response.body === null)
    throw new Error(`${address} answers ${String(response.status)}`);
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  const body: AsyncIterable<Uint8Array> = response.body;
  for await (const piece of body) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > DOCUMENT_SIZE_BYTES_MAX) throw new Error(`${address} answers too much`);
    pieces.push(piece);
  }
  const value: unknown = JSON.parse(Buffer.concat(pieces).toString('utf8'));
  if (typeof value !== 'object' || value === null) throw new Error(`${address} does not answer an object`);
  return Object.fromEntries(Object.entries(value));
}
