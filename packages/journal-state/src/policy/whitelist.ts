/** Which command lines a whitelist lets through. */

/** What makes a shell do more than run one program with its arguments. */
const SHELL_SYNTAX = /[;&|<>`$(){}\\\n\r]/;

/**
 * An entry of a whitelist allows the program that it names, with any arguments, or the whole command line that it is.
 * A program is compared as it is written: `ps` does not allow `/tmp/ps`. Command lines that a shell would take for more
 * than one command are only allowed as a whole.
 */
export function isWhitelisted(whitelist: readonly string[], command: string): boolean {
  const line = command.trim();
  if (whitelist.includes(line)) return true;
  if (SHELL_SYNTAX.test(line)) return false;
  const [program = ''] = line.split(/\s/, 1);
  return program !== '' && whitelist.includes(program);
}
