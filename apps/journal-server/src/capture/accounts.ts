/** Names of users and groups, from the root's own passwd(5) and group(5). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAbsentOrForbidden } from './types.ts';

/** Turns numeric ids into `user:group`; an id without a name stays a number. */
export class Accounts {
  readonly #users: ReadonlyMap<number, string>;
  readonly #groups: ReadonlyMap<number, string>;

  constructor(root: string) {
    this.#users = readNames(join(root, 'etc/passwd'));
    this.#groups = readNames(join(root, 'etc/group'));
  }

  owner(uid: number, gid: number): string {
    return `${this.#users.get(uid) ?? String(uid)}:${this.#groups.get(gid) ?? String(gid)}`;
  }
}

/** Both files have the name first and the id third; the first line of an id wins, as in getpwuid(3). */
function readNames(path: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isAbsentOrForbidden(error)) return names;
    throw error;
  }
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':');
    if (name !== '' && /^\d+$/u.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}
