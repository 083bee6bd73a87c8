/**
 * Recognises files that carry secrets. Such a file is left out whole: even its hash would let a reader of the journal
 * test guesses of a short secret, and the journal never forgets.
 */

/** Names whose content is secret by definition, also where no pattern can tell (DES hashes, DER keys, keytabs). */
const SECRET_NAMES: readonly RegExp[] = [
  /^\/etc\/g?shadow-?$/u,
  /^\/etc\/security\/opasswd/u,
  /^\/etc\/machine-id$/u,
  /^\/etc\/ssl\/private\//u,
  /^\/etc\/ppp\/[^/]*-secrets$/u,
  /^\/etc\/munge\/munge\.key$/u,
  /^\/etc\/ceph\/[^/]*keyring/u,
  /\/\.(?:netrc|pgpass|git-credentials|htpasswd|my\.cnf)$/u,
  /\/(?:ipsec\.secrets|rndc\.key|cookiesecret)$/u,
  /\.(?:key|keytab|p12|pfx|jks|kdb|kdbx)$/u,
];

/** What secrets look like inside files. Matched on text with one byte a character. */
const SECRET_CONTENT: readonly RegExp[] = [
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/,
  /PuTTY-User-Key-File-\d/,
  // crypt(5): $id$..., as in shadow and htpasswd files.
  /(?:^|[:\s"'=])\$(?:1|2[abxy]|5|6|7|y|gy|sha1|md5|apr1|argon2(?:i|d|id))\$[./A-Za-z0-9$=,+-]{16,}/m,
  // WireGuard and other base64 keys of 32 bytes.
  /^[ \t]*(?:PrivateKey|PresharedKey)[ \t]*=[ \t]*[A-Za-z0-9+/]{43}=/m,
  // JSON web tokens and the tokens of well-known services.
  /\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/,
  /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40}|glpat-[A-Za-z0-9_-]{20}|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30}|xox[abprs]-[A-Za-z0-9-]{10}|AIza[A-Za-z0-9_-]{35}|(?:AKIA|ASIA)[A-Z0-9]{16}\b)/,
  // user:password@ in a URL.
  /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@'"<>${}]{1,64}:[^\s/@'"<>${}]{3,128}@[A-Za-z0-9[]/,
  // netrc(5).
  /^[ \t]*machine[ \t]+\S+[ \t\n]+login[ \t]+\S+[ \t\n]+password[ \t]+\S+/m,
  // docker's config.json and its like.
  /"(?:auth|identitytoken)"[ \t]*:[ \t]*"[A-Za-z0-9+/=_.-]{8,}"/,
];

/** An assignment whose name says that its value is secret, not commented out. */
const SECRET_ASSIGNMENT =
  /^[ \t]*(?:export[ \t]+)?["']?[\w.-]{0,40}?(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key|psk)["']?[ \t]*[=:][ \t]*["']?([^\s"'#;,]{4,256})/gim;

/** Values of such assignments that are settings, not secrets. */
const HARMLESS_VALUE =
  /^(?:[/$<{%~@*!([].*|\\.*|yes|no|true|false|none|null|nil|files|sss|ldap|nis\w*|compat|systemd|x+|\*+|\d{1,5}|(?:changeme|password|secret|token)\w*)$/i;

/** A name in capitals stands for a value that is filled in elsewhere. */
const PLACEHOLDER = /^[A-Z][A-Z_]+$/;

/** True where the path alone says that the content is secret. `path` is the absolute path below the captured root. */
export function isSecretName(path: string): boolean {
  return SECRET_NAMES.some((pattern) => pattern.test(path));
}

/** Bytes of one chunk that are looked at again with the next, so that no pattern hides across the seam. */
const OVERLAP_BYTES = 4096;

/** Looks through a file's content piece by piece, in bounded memory. */
export class SecretScanner {
  #tail = '';
  #found = false;

  get found(): boolean {
    return this.#found;
  }

  update(chunk: Uint8Array): void {
    if (this.#found) return;
    const text =
      this.#tail + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    this.#found = hasSecret(text);
    this.#tail = text.slice(-OVERLAP_BYTES);
  }
}

/** True where the text carries a private key, a password hash, a token or an assigned password. */
export function hasSecret(text: string): boolean {
  if (SECRET_CONTENT.some((pattern) => pattern.test(text))) return true;
  for (const match of text.matchAll(SECRET_ASSIGNMENT)) {
    const value = match[1] ?? '';
    if (!HARMLESS_VALUE.test(value) && !PLACEHOLDER.test(value)) return true;
  }
  return false;
}
