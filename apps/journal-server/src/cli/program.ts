/** Assembles the commander program and runs it. */
import { Command, CommanderError, Option } from 'commander';
import {
  Context,
  DEFAULT_ENDPOINT,
  type CliStreams,
  type Environment,
  type RawGlobalOptions,
} from './context.ts';
import { endpointError } from './endpoint-errors.ts';
import { describeFailure, EXIT_CODES } from './errors.ts';
import { COMMANDS } from './registry.ts';
import { readVersion } from './version.ts';

/** Global options that take a value: the scan for the command's name has to step over it. */
const VALUE_OPTIONS: ReadonlySet<string> = new Set(['--endpoint', '--token', '--ca', '--cert', '--key']);

/**
 * Runs one command line (without node and script) and resolves to its exit status. Never rejects: whatever goes wrong
 * is one line on stderr.
 */
export async function run(args: readonly string[], streams: CliStreams, env: Environment): Promise<number> {
  const context: Context = new Context(streams, env, () => createProgram(context, 'all'));
  try {
    const program = await createProgram(context, wantedCommand(args));
    await program.parseAsync([...args], { from: 'user' });
    return EXIT_CODES.done;
  } catch (thrown) {
    const error = endpointError(thrown, context.globals.endpoints) ?? thrown;
    if (isMissingCommand(error)) return EXIT_CODES.usage;
    const failure = describeFailure(error);
    if (failure.exitCode === EXIT_CODES.done) return EXIT_CODES.done;
    context.out.failure(failure.message);
    if ((env['PACT_DEBUG'] ?? '') !== '' && error instanceof Error)
      streams.stderr.write(`${error.stack ?? ''}\n`);
    return failure.exitCode;
  }
}

/**
 * The program with its global options. The command called `wanted`, or each for `all`, is loaded whole; the others are only names for the
 * help, so that asking for help costs nothing.
 */
export async function createProgram(context: Context, wanted: string | undefined): Promise<Command> {
  const program = new Command('pact-journal')
    .description(
      'The configuration journal of an HPC cluster: commit declared state, replicate it, boot nodes from it.',
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .option(
      '--endpoint <host:port>',
      `a journal server, repeatable (PACT_ENDPOINT; default ${DEFAULT_ENDPOINT})`,
      collect,
    )
    .addOption(new Option('--token <jwt>', 'bearer token (PACT_TOKEN)'))
    .option('--tls', "speak TLS, and trust the system's authorities (PACT_TLS=1)")
    .option('--ca <file>', 'speak TLS, and trust these authorities, PEM (PACT_CA)')
    .option('--cert <file>', 'client certificate of a compute node, PEM (PACT_CERT)')
    .option('--key <file>', 'its private key, PEM (PACT_KEY)')
    .option('--json', 'JSON on stdout and nothing else')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => {
        context.out.raw(text);
      },
      writeErr: (text) => {
        context.out.remark(text);
      },
      // The thrown error carries the message; `run` prints it once.
      outputError: () => undefined,
    })
    .exitOverride()
    .addHelpCommand(
      new Command('help')
        .argument('[command]')
        .summary('print help for a command')
        .helpGroup('Look after the cluster:'),
    )
    .addHelpText('after', EXIT_CODE_HELP)
    .hook('preAction', (_program, command) => {
      context.setGlobals(command.optsWithGlobals<RawGlobalOptions>());
    });
  for (const entry of COMMANDS) {
    if (wanted === 'all' || entry.name === wanted) (await entry.load()).register(program, context);
    else program.command(entry.name).summary(entry.summary);
    program.commands.at(-1)?.summary(entry.summary).helpGroup(entry.group).helpCommand(false);
  }
  return program;
}

const EXIT_CODE_HELP = `
Exit status: 0 done; 1 the operation failed; 2 usage or configuration; 3 not reachable or no leader (try again);
             4 refused (authentication, permission, validation, unknown name); 5 damage found.
`;

/** A command was left out: commander has printed the help on stderr. */
function isMissingCommand(error: unknown): boolean {
  return error instanceof CommanderError && error.code === 'commander.help' && error.exitCode !== 0;
}

function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

/** The first operand, stepping over global options; after `help`, the command that help is asked for. */
function wantedCommand(args: readonly string[]): string | undefined {
  const operands: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? '';
    if (arg === '--') break;
    if (VALUE_OPTIONS.has(arg)) at += 1;
    else if (!arg.startsWith('-')) operands.push(arg);
  }
  return operands[0] === 'help' ? operands[1] : operands[0];
}
