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
  /-----BEGIN [A-Z0-9 ]{0,40}(?:PRIVATE KEY(?: BLOCK)?|OpenVPN Static key[A-Za-z0-9 ]{0,10})-----/i,
  /PuTTY-User-Key-File-\d/,
  // crypt(5): $id$..., as in shadow and htpasswd files.
  /(?:^|[:\s"'=])\$(?:1|2[abxy]|5|6|7|y|gy|sha1|md5|apr1|argon2(?:i|d|id))\$[./A-Za-z0-9$=,+-]{16,}/m,
  /(?:^|[:\s"'=])\$(?:apr1|2[abxy])\$/m,
  /\{(?:S?SHA\d{0,3}|S?MD5|CRYPT|PBKDF2[\w-]*|ARGON2)\}[./A-Za-z0-9+=$]{8,}/i,
  // DES of crypt(3), as in htpasswd files: a name and 13 characters, nothing else in the line.
  /^[\w.@-]{1,64}:[./A-Za-z0-9]{13}(?::[^\n]*)?$/m,
  /grub\.pbkdf2\.sha\d+\./i,
  /Authorization["']?[ \t]*[:=][ \t]*["']?Basic[ \t]+[A-Za-z0-9+/=]{4,}/i,
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

/** Names, or ends of names, whose value is secret. Matched in lower case. */
const SECRET_WORDS = [
  'passw(?:or)?d',
  'passphrase',
  'pass_?code',
  'secret(?:[_.-]?key)?(?:[_.-]?base)?',
  '(?:auth)?token',
  'auth_?tok',
  '(?:api|access|account|encryption|private|shared|master|auth|admin)[_.-]?key',
  'credentials?',
  'bind_?pw',
  'root_?pw',
  'require_?pass',
  'master_?auth',
  'community',
].join('|');

/** Short ones that also end ordinary words (compass): only after something that parts words. */
const SHORT_SECRET_WORDS = 'pass|pwd|psk';

/**
 * A secret's name anywhere in a line, then what assigns: `=`, `:`, `:=`, `=>`, the comma of define('X', 'y'), the `>` of
 * an XML element, or blanks. What comes after it is looked at by {@link isSecretValue}.
 */
const SECRET_ASSIGNMENT = new RegExp(
  String.raw`(?<![\w.-])(?<name>[\w.-]{0,200}?(?:${SECRET_WORDS}|(?<![A-Za-z])(?:${SHORT_SECRET_WORDS})))(?![\w-])["'\])]{0,3}` +
    String.raw`(?:(?<sign>[ \t]*(?:=>|:=|[?+]?=|:|,|>)[ \t]*)|(?<blanks>[ \t]+))(?<value>"[^"\r\n]{0,256}|'[^'\r\n]{0,256}|[^\s"'<;,)}\]]{0,256})`,
  'gi',
);

/** Directives of SNMP and Redis whose arguments are secret wherever they stand in the line. */
const SECRET_DIRECTIVE =
  /^[ \t]*(?:(?:ro|rw)community6?|com2sec6?|createUser|user[ \t]+\S+[ \t]+(?:on|off)[ \t].*[>#])[ \t]*["'\w]/im;

/** Values that are settings: nothing at all, switches, and what is filled in from elsewhere. */
const HARMLESS_VALUE =
  /^(?:|yes|no|true|false|on|off|none|null|nil|\$\{[^}]*\}?|\$\([^)]*\)?|%\{[^}]*\}?|\{\{.*|<[^>]*>?|@[A-Z_]+@)$/i;

/** A variable of the environment, by custom in capitals: $uper is a password. */
const VARIABLE = /^\$[A-Z_][A-Z0-9_]*$/;

/** A file that holds the secret. A lone slash may be the start of a password, so a second one is asked for. */
const FILE_REFERENCE = /^(?:file:|~?\/[\w.-]+\/)[\w./@%~-]*$/;

/**
 * What follows the name of a database, a PAM type or a port where nothing assigns but blanks or a colon: nsswitch.conf,
 * pam.d and services are on every host.
 */
const SERVICES_VALUE =
  /^(?:files|db|sss|ldap|nis\w*|compat|systemd|winbind|required|requisite|sufficient|optional|include|substack|\d+\/(?:tcp|udp)|\[.*|-)$/i;

/** Words of a line that can be no prose: a name and its value. */
const MAX_WORDS_OF_DIRECTIVE = 2;

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
  if (SECRET_DIRECTIVE.test(text)) return true;
  for (const match of text.matchAll(SECRET_ASSIGNMENT)) {
    const { name = '', sign, value = '' } = match.groups ?? {};
    if (!isSecretValue(value, name, sign)) continue;
    const line = lineAround(text, match.index, match[0].length);
    if (isComment(line)) continue;
    // Of a path, only the end of a type or a file: application/x-token.
    if (sign === undefined && text[match.index - 1] === '/') continue;
    if (sign === undefined && !isDirective(line, match[0]) && !isFlag(line, name)) continue;
    return true;
  }
  return false;
}

function isSecretValue(quoted: string, name: string, sign: string | undefined): boolean {
  const value = quoted.replace(/^["']/, '');
  if (HARMLESS_VALUE.test(value) || VARIABLE.test(value) || FILE_REFERENCE.test(value)) return false;
  const assigns = sign?.trim();
  // passwd: files, password [success=1 default=ignore] pam_unix.so and kpasswd 464/tcp.
  if (
    /passw(?:or)?d$/i.test(name) &&
    (assigns === undefined || assigns === ':') &&
    SERVICES_VALUE.test(value)
  )
    return false;
  // XML and arrays: <password></password>, ['password', 'user'].
  if (assigns === '>') return value !== '';
  // Between names in a list, the comma does not assign; between the quoted arguments of a call, it does.
  if (assigns === ',') return /^["']/.test(quoted) && /[A-Z_]/.test(name);
  return true;
}

/** As much of a line as it takes to see what it is: files of one endless line are looked through just as fast. */
const LINE_CONTEXT_CHARACTERS = 512;

function lineAround(text: string, index: number, length: number): string {
  const before = text.slice(Math.max(0, index - LINE_CONTEXT_CHARACTERS), index);
  const after = text.slice(index + length, index + length + LINE_CONTEXT_CHARACTERS);
  const middle = text.slice(index, index + length);
  return before.slice(before.lastIndexOf('\n') + 1) + middle + (/^[^\n]*/.exec(after)?.[0] ?? '');
}

/** Comments are documentation: an example of a password there is nobody's. */
function isComment(line: string): boolean {
  return /^[ \t]*(?:#|;|\/\/[ \t]|\*[ \t]|<!--|--[ \t])/.test(line);
}

/** Where only blanks assign: a name and a value, or both at the end of the line, as in `enable password x`. */
function isDirective(line: string, assignment: string): boolean {
  const words = line.replace(/[ \t]#.*/, '').trim();
  if (words.split(/[ \t]+/).length <= MAX_WORDS_OF_DIRECTIVE) return true;
  return words.endsWith(` ${assignment}`) && !/[.,]$/.test(words);
}

/** `--token x`. */
function isFlag(line: string, name: string): boolean {
  return line.includes(`--${name.replace(/^-+/, '')}`);
}
