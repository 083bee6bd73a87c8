import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { traceHash } from './trace.ts';

/** Another Node than the one that runs the tests, if the machine has one: the first on the path that is not the workspace's. */
function hostNode(): string | undefined {
  const path = (process.env['PATH'] ?? '')
    .split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':');
  try {
    return execFileSync('/bin/sh', ['-c', 'command -v node'], {
      env: { PATH: path },
      encoding: 'utf8',
    }).trim();
  } catch {
    return undefined;
  }
}

describe('determinism', () => {
  let folder = '';
  let bundle = '';

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'raft-trace-'));
    bundle = join(folder, 'trace.mjs');
    await build({
      stdin: {
        contents: `import { traceHash } from './trace.ts'; console.log(traceHash(Number(process.argv[2])));`,
        resolveDir: import.meta.dirname,
        loader: 'ts',
      },
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      outfile: bundle,
    });
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function inNode(node: string, seed: number): string {
    return execFileSync(node, [bundle, String(seed)], { encoding: 'utf8' }).trim();
  }

  it('the same seed and inputs give the same trace, another seed another', () => {
    expect(traceHash(1)).toBe(traceHash(1));
    expect(traceHash(1)).not.toBe(traceHash(2));
  });

  it('a fresh process computes the same trace as this one', () => {
    for (const seed of [1, 2, 3]) expect(inNode(process.execPath, seed)).toBe(traceHash(seed));
  });

  it('the machine’s own Node, whatever its version, computes the same trace', () => {
    const other = hostNode() ?? process.execPath;
    for (const seed of [1, 2, 3]) expect(inNode(other, seed)).toBe(traceHash(seed));
  });
});
