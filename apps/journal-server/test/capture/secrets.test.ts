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
    ['a DES hash of htpasswd', 'alice:rl.3StKT.4T8M\n'],
    ['a short apr1 hash', 'alice:$apr1$x$y'],
    ['a hash of GRUB', 'password_pbkdf2 root grub.pbkdf2.sha512.10000.AB.CD'],
    ['a hash of slapd', 'rootpw {SSHA}Zm9vYmFyYmF6cXV4'],
    ['a static key of OpenVPN', `${dashes}BEGIN OpenVPN Static key V1${dashes}\n00`],
    ['a basic login', 'header = "Authorization: Basic cGFjdDpwYWN0"'],
    ['SNMP communities', 'rocommunity public 10.0.0.0/8\n'],
    ['a user of SNMP', 'createUser monitor SHA "correct horse" AES\n'],
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

  test.each([
    'DB_PASS=x1',
    'export MYSQL_PWD=1234',
    'db_pass := hunter2',
    'smtp_passwd = 0',
    'passphrase = "a b"',
    'secret_key_base: 0badcafe',
    'API-KEY=abc',
    'authtok = a',
    'bindpw secret',
    'enable password zebra',
    ' neighbor 10.0.0.1 password x',
    'snmp-server community public',
    'requirepass foobared',
    'masterauth foobared',
    'password = !important',
    'password = @home',
    'password = *star*',
    'password = $uper',
    'password = $uper!secret',
    'password = %percent',
    'password = /slash',
    'password = changeme',
    'password = PASSWORD',
    '  - password: x',
    '- name: db\n  password: "12345"',
    '{"user":"a","password":"x"}',
    '{"password": 1234}',
    '<password>x</password>',
    '<add key="a" password="x"/>',
    'ExecStart=/usr/bin/agent --token=x --fast',
    'ExecStart=/usr/bin/agent --token x --fast',
    'Environment="API_TOKEN=x"',
    'Environment=A=1 API_TOKEN=x',
    "define('DB_PASSWORD','x');",
    'define( "DB_PASSWORD", "x" );',
    "$password = 'x';",
    "$cfg['password'] = 'x';",
    ':password => "x"',
    "'password' => 'x',",
    'server.password=x # for now',
    '//host/share /mnt cifs username=a,password=b 0 0',
    'user=a;pwd=b;database=c',
  ])('an assignment: %s', (text) => {
    expect(hasSecret(text)).toBe(true);
  });

  test('looks through a large file without a secret in a moment', () => {
    const startedAt = performance.now();
    for (const part of ['a.b-c_d', 'the password. ', 'pass.', 'token-', 'x\n', '="', ' \t'])
      expect(hasSecret(part.repeat(200_000 / part.length)), part).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  test.each([
    'password =\nuser = a\n',
    'password = ""',
    'password: null',
    'password = $DB_PASSWORD',
    'password = ${DB_PASSWORD}',
    'password = %{DB_PASSWORD}',
    'password_file = /run/secrets/db',
    'password = /run/secrets/db',
    'Environment=TOKEN=${TOKEN}',
    'token = yes',
    'PasswordAuthentication no',
    'PASS_MAX_DAYS\t99999\nPASS_MIN_LEN 5',
    'password   required   pam_deny.so',
    'password requisite pam_pwquality.so retry=3',
    '@include common-password',
    '# password: the one of the account',
    'This sets the password for all accounts.',
    'root:x:0:0:root:/root:/bin/bash\ndaemon:*:1:',
    'tcp_syn_retries = 5',
    'compass = north',
    'kpasswd\t\t464/tcp',
    'passwd-server\t752/udp\tpasswd_server\t# Kerberos passwd server',
    'application/vnd.etsi.timestamp-token\t\ttst',
    'bypass: 5',
  ])('harmless: %s', (text) => {
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
