/** `pnpm bench NAME [--json] [...]`: runs a benchmark by name, from its sources, on the pinned Node. */
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { pinnedNode, root } from './lib/workspace.mjs';

const args = process.argv.slice(2).filter((arg) => arg !== '--');
const main = join(root, 'apps', 'bench', 'src', 'main.ts');
const { status } = spawnSync(
  pinnedNode(),
  [
    '--conditions=@pact-journal/source',
    '--expose-gc',
    ...(process.env.PACT_BENCH_NODE_FLAGS?.split(' ') ?? []),
    main,
    ...args,
  ],
  { stdio: 'inherit' },
);
process.exitCode = status ?? 1;
