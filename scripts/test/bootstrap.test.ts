import { execFile, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const scratches: string[] = [];

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'pact-journal-scripts-'));
  scratches.push(directory);
  return directory;
}

afterEach(() => {
  for (const directory of scratches.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A checkout as it is just after a clone, with as much of the workspace as `npm start` reads before installing. */
function freshCheckout(): string {
  const directory = scratch();
  for (const name of ['scripts', 'package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    cpSync(join(root, name), join(directory, name), { recursive: true });
  }
  mkdirSync(join(directory, 'packages'));
  mkdirSync(join(directory, 'apps'));
  return directory;
}

/** Runs with a PATH on which only the named tools are found (each answers `--version` and does nothing else). */
function runWithTools(directory: string, tools: readonly string[], script: string) {
  const bin = join(scratch(), 'bin');
  mkdirSync(bin);
  for (const tool of tools) writeFileSync(join(bin, tool), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  const env = { PATH: bin, HOME: directory };
  return spawnSync(process.execPath, [join(directory, 'scripts', script)], { encoding: 'utf8', env });
}

describe('the bootstrap', () => {
  it('says in one line which packages to install where no compiler is', () => {
    const result = runWithTools(freshCheckout(), ['python3'], 'start.mjs');
    expect(result.status).toBe(2);
    expect(result.stdout).toBe('');
    expect(result.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain('a C++ compiler, make');
    expect(result.stderr).toContain('apt-get install g++ make ');
    expect(result.stderr).not.toContain('python3');
  });

  it('names only what is missing', () => {
    const result = runWithTools(freshCheckout(), ['make', 'c++'], 'test.mjs');
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/needs python3: apt-get install python3 /);
  });

  it('says that npm is missing where npx is', () => {
    const result = runWithTools(freshCheckout(), ['make', 'c++', 'python3'], 'start.mjs');
    expect(result.status).not.toBe(0);
    expect(result.stderr).toContain('npm has to be installed beside Node');
  });

  it('tells a failed installation by its last words and a non-zero exit', () => {
    const directory = freshCheckout();
    writeFileSync(join(directory, 'pnpm-lock.yaml'), 'lockfileVersion: nonsense\n');
    const result = spawnSync(process.execPath, [join(directory, 'scripts', 'start.mjs')], {
      encoding: 'utf8',
    });
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('the dependencies could not be installed; the reason is above.');
  });
});

describe('the import directions', () => {
  /** A workspace of two packages in which one imports what stands above it. */
  async function cruise(files: Record<string, string>): Promise<{ code: number; output: string }> {
    const directory = scratch();
    cpSync(join(root, '.dependency-cruiser.mjs'), join(directory, '.dependency-cruiser.mjs'));
    cpSync(join(root, 'tsconfig.base.json'), join(directory, 'tsconfig.base.json'));
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ extends: './tsconfig.base.json' }));
    symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, '..'), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    const binary = join(root, 'node_modules', '.bin', 'depcruise');
    const args = ['--config', '.dependency-cruiser.mjs', '--output-type', 'err', 'packages'];
    return new Promise((resolve) => {
      execFile(binary, args, { cwd: directory }, (error, stdout) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout });
      });
    });
  }

  it('allow what design allows', async () => {
    const { code, output } = await cruise({
      'packages/journal-state/src/index.ts': 'export const a = 1;\n',
      'packages/journal-proto/src/index.ts': "export { a } from '../../journal-state/src/index.ts';\n",
    });
    expect(output).toContain('no dependency violations found');
    expect(code).toBe(0);
  });

  it('refuse an upward import', async () => {
    const { code, output } = await cruise({
      'packages/journal-state/src/index.ts': "export { b } from '../../journal-proto/src/index.ts';\n",
      'packages/journal-proto/src/index.ts': 'export const b = 1;\n',
    });
    expect(output).toContain('journal-state-imports-only-what-is-below-it');
    expect(code).not.toBe(0);
  });

  it('refuse a cycle', async () => {
    const { code, output } = await cruise({
      'packages/raft-grpc/src/index.ts': "import './other.ts';\nexport const a = 1;\n",
      'packages/raft-grpc/src/other.ts': "import './index.ts';\nexport const b = 1;\n",
    });
    expect(output).toContain('no-cycles');
    expect(code).not.toBe(0);
  });

  it('refuse an import from outside in the consensus core', async () => {
    const { code, output } = await cruise({
      'packages/raft-core/src/core/index.ts':
        "import { join } from 'node:path';\nexport const a = join('a', 'b');\n",
    });
    expect(output).toContain('raft-core-is-self-contained');
    expect(code).not.toBe(0);
  });
});
