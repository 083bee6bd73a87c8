import { describe, expect, test } from 'vitest';
import { hasSecret, isSecretName, SecretScanner } from '../../src/capture/secrets.ts';

/** Built at run time so that no scanner of repositories takes the examples for real. */
const dashes = '-'.repeat(5);
const token = `eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqb2huLmRvZSJ9.${'c2lnbmF0dXJl'.repeat(3)}`;
const cryptHash = `$6$saltsalt$${'a1B2c3D4'.repeat(10)}`;

describe('what is a secret by content', () => {
  test.each([
    ['an RSA key', `${dashes}BEGIN RSA PRIVATE KEY${dashes}\nMIIE`],
    ['a PKCS #8 key', `# node key\n${dashes}BEGIN PRIVATE KEY${dashes}\nMIIE`],
    ['an OpenSSH key', `${dashes}BEGIN OPENSSH PRIVATE KEY${dashes}\nb3Bl`],
    ['an exported PGP key', `${dashes}BEGIN PGP PRIVATE KEY BLOCK${dashes}\n`],
    ['a password hash of shadow(5)', `root:${cryptHash}:19000:0:99999:7:::`],
    ['a password hash of htpasswd', `alice:$apr1$abcdefgh$${'Zz09./ab'.repeat(3)}`],
    ['a bcrypt hash in quotes', `hash = "$2b$12$${'abcdefghijklmnopqrstuv'.repeat(2)}"`],
    ['a web token', `Authorization: Bearer ${token}`],
    ['a GitHub token', `url=https://x/ # ghp_${'a1B2'.repeat(9)}`],
    ['a password in a URL', 'database = postgres://pact:hunter22@db.example:5432/pact'],
    ['an assigned password', '[client]\nuser=backup\npassword = s3cr3t-Pa55\n'],
    ['a quoted secret in YAML', '  client_secret: "9f86d081884c7d65"\n'],
    ['a pre-shared key', 'network={\n  psk="correct horse"\n}'],
    ['a netrc line', 'machine repo.example login bot password abcdef12'],
    ['a registry login', '{"auths":{"r.example":{"auth":"dXNlcjpwYXNzd29yZA=="}}}'],
  ])('%s', (_what, text) => {
    expect(hasSecret(text)).toBe(true);
  });

  test.each([
    ['a certificate', `${dashes}BEGIN CERTIFICATE${dashes}\nMIID`],
    ['a public key', `${dashes}BEGIN PUBLIC KEY${dashes}\nMIIB`],
    ['name service switches', 'passwd:         files systemd\nshadow: files\n'],
    ['a PAM stack', 'password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt'],
    ['a commented-out password', '# password = s3cr3t-Pa55\n'],
    ['a password that comes from elsewhere', 'password = ${DB_PASSWORD}\npassword_file = /run/secrets/db\n'],
    ['a switch', 'PasswordAuthentication no\npermit_empty_password = false\n'],
    ['accounts without hashes', 'root:x:0:0:root:/root:/bin/bash\n'],
    ['a URL without credentials', 'deb http://mirror.example.org/debian bookworm main'],
  ])('not %s', (_what, text) => {
    expect(hasSecret(text)).toBe(false);
  });

  test('a secret across the seam of two chunks is found, however it is cut', () => {
    const text = Buffer.from(`${'x'.repeat(500)}\n${dashes}BEGIN EC PRIVATE KEY${dashes}\nMHc`);
    for (let cut = 490; cut < text.length; cut += 1) {
      const scanner = new SecretScanner();
      scanner.update(text.subarray(0, cut));
      scanner.update(text.subarray(cut));
      expect(scanner.found, `cut at ${String(cut)}`).toBe(true);
    }
  });
});

describe('what is a secret by name', () => {
  test.each([
    '/etc/shadow',
    '/etc/gshadow-',
    '/etc/security/opasswd',
    '/etc/ssl/private/node.pem',
    '/etc/krb5.keytab',
    '/etc/munge/munge.key',
  ])('%s', (path) => {
    expect(isSecretName(path)).toBe(true);
  });

  test.each(['/etc/passwd', '/etc/ssl/certs/ca.pem', '/etc/ssh/ssh_host_ed25519_key.pub', '/etc/keyboard'])(
    'not %s',
    (path) => {
      expect(isSecretName(path)).toBe(false);
    },
  );
});
