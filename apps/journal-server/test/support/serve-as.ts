/** `serve`, as another version of this program would run it: the one that `TEST_VERSION` names. */
import { Command } from 'commander';
import { addSettingFlags, configSources, loadConfig } from '../../src/config/index.ts';
import { createLogger } from '../../src/server/log.ts';
import { runServer, untilAskedToStop } from '../../src/server/run.ts';

const serve = new Command('serve').option('--json');
addSettingFlags(serve).action(async (options: Readonly<Record<string, unknown>>) => {
  const { config } = await loadConfig(configSources(options, {}));
  await runServer({
    config,
    log: await createLogger(config, 2),
    version: process.env['TEST_VERSION'] ?? '',
    stopRequest: untilAskedToStop(),
    onReady: (line) => {
      process.stdout.write(`${JSON.stringify({ ready: true, nodes: [line] })}\n`);
    },
  });
  process.exit();
});
await new Command().addCommand(serve).parseAsync();
