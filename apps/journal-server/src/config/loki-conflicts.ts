import type { ConfigProblem } from './errors.ts';
import type { ServerConfig } from './settings.ts';

/** Whether Loki can be reached as configured, and no secret stands where everybody sees it. */
export function lokiConflicts(
  { loki }: ServerConfig,
  origin: (key: string) => string,
): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (key: string, message: string): void => {
    problems.push({ code: 'conflict', where: origin(key), message });
  };
  if (loki.url !== '') {
    const url = URL.canParse(loki.url) ? new URL(loki.url) : undefined;
    if (url === undefined || !['http:', 'https:'].includes(url.protocol))
      add('loki.url', 'loki.url is no http or https URL; write for example http://loki.example:3100');
    else if (url.username !== '' || url.password !== '')
      add('loki.url', 'loki.url has a user or password in it; use loki.username and loki.password_file');
  }
  if ((loki.username === '') !== (loki.passwordFile === ''))
    add('loki.username', 'loki.username and loki.password_file belong together; set both or none');
  if (loki.username !== '' && loki.tokenFile !== '')
    add('loki.token_file', 'loki.token_file and loki.username exclude each other; choose one way to log in');
  return problems;
}
