/** Entry point of the command line: built to `dist/cli.js`, or run as it is with type stripping. */
import { run } from './program.ts';

// Deprecations of Node's are for those who write programs, not for those who run this one.
process.noDeprecation = true;

// A launcher that had to change to another Node waits for this process; when it is killed, this process ends too.
if (process.env['PACT_JOURNAL_LAUNCHED'] === '1' && process.channel !== undefined) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}

// The reader of our output went away (`| head`): there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const exitCode = await run(process.argv.slice(2), process, process.env);
process.stdout.write('', () => process.exit(exitCode));
