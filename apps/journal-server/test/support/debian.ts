/** Programs from Debian's packages that tests compare with or hold this project against. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Installs the package where its program is missing and this process may; says what to do otherwise. */
export async function requireDebianPackage(program: string, name: string): Promise<void> {
  const found = await run('sh', ['-c', `command -v ${program}`]).then(
    () => true,
    () => false,
  );
  if (found) return;
  if (process.getuid?.() !== 0)
    throw new Error(`this test needs Debian's ${name}, as root: apt-get install ${name}`);
  const apt = (...args: readonly string[]): Promise<unknown> =>
    run('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  await apt('update');
  await apt('install', '-y', '--no-install-recommends', name);
}
