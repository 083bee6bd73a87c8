/** Every check that can mend what it finds. */
import { ensureInstalled, runOrExit } from './lib/workspace.mjs';

await ensureInstalled();
await runOrExit('node', ['scripts/generate.mjs']);
await runOrExit('buf', ['format', '--write']);
await runOrExit('eslint', ['--fix', '.']);
await runOrExit('prettier', ['--write', '--log-level=warn', '.']);
