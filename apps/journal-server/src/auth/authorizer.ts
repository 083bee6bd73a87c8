/** Decides by the table of roles. */
import type { JournalView } from '@pact-journal/journal-state';
import type { Identity } from '@pact-journal/journal-state';
import { authorOf, type Caller, type ComputeNode, type User } from './caller.ts';
import { AuthError } from './errors.ts';
import { ROLES, type Action, type Row, type Target } from './roles.ts';

/** A call that may be done. */
export interface Grant {
  readonly caller: Caller;
  /** The author of what it writes; undefined where nobody is authenticated and the request's own claim counts. */
  readonly author: Identity | undefined;
}

export const ADMIN_ROLE = 'pact-platform-admin';

type Role =
  | { readonly kind: 'admin'; readonly name: string }
  | { readonly kind: 'ops' | 'viewer'; readonly name: string; readonly vclusterId: string };

const rows = new Map(ROLES.map((row) => [row.path, row]));

/** Undefined for what this server does not have, or has without a row: nobody may call it. */
export function rowOf(path: string): Row | undefined {
  return rows.get(path);
}

/** What can be said before the request is read. Fails with {@link AuthError} where no request would be allowed. */
export function authorizeMethod(caller: Caller, row: Row): void {
  switch (caller.kind) {
    case 'anybody':
      return;
    case 'node':
      if (!row.nodes) throw new AuthError('roleInsufficient', `a compute node may not call ${row.path}`);
      return;
    case 'member':
      if (!row.members)
        throw new AuthError('roleInsufficient', `a member may not call ${row.path} for itself`);
      return;
    case 'user': {
      const roles = rolesOf(caller);
      if (roles.length === 0) throw noRole(caller);
      if (!roles.some((role) => may(role, row.action)))
        throw new AuthError('roleInsufficient', `${named(caller)} may not call ${row.path}`);
    }
  }
}

/** Fails with {@link AuthError} where the table does not allow it. */
export function authorize(caller: Caller, row: Row, request: unknown, view: JournalView): Grant {
  authorizeMethod(caller, row);
  switch (caller.kind) {
    case 'anybody':
      return { caller, author: undefined };
    case 'member':
      if (!row.member(request, caller.memberId))
        throw new AuthError(
          'roleInsufficient',
          `member ${String(caller.memberId)} may not do this for another one`,
        );
      return { caller, author: authorOf(caller, '') };
    case 'node': {
      if (!row.node(request))
        throw new AuthError('roleInsufficient', 'a compute node may only report about itself');
      const forbidden = row.targets(request, view).find((target) => !isOwn(caller, row.action, target, view));
      if (forbidden !== undefined)
        throw new AuthError(
          'scopeForbidden',
          `node ${caller.nodeId} may not ${words(row.action)} ${described(forbidden)}`,
        );
      return grantOf(caller, '');
    }
    case 'user':
      return grantOf(caller, roleFor(caller, row, request, view));
  }
}

/** By caller and role, because a caller makes many calls. */
const grants = new WeakMap<Caller, Map<string, Grant>>();

function grantOf(caller: Caller, role: string): Grant {
  const byRole = grants.get(caller) ?? new Map<string, Grant>();
  const known = byRole.get(role);
  if (known !== undefined) return known;
  const grant = { caller, author: authorOf(caller, role) };
  grants.set(caller, byRole.set(role, grant));
  return grant;
}

/** The role that allows it: of several targets, the first one's. */
function roleFor(caller: User, row: Row, request: unknown, view: JournalView): string {
  const roles = rolesOf(caller);
  // Whatever it is about, that role would be found first.
  if (roles[0]?.kind === 'admin') return roles[0].name;
  const targets = row.targets(request, view);
  const granting = targets.map((target) => {
    const role = roles.find((each) => covers(each, row.action, target, view));
    if (role !== undefined) return role;
    throw new AuthError(
      'scopeForbidden',
      `${named(caller)} may not ${words(row.action)} ${described(target)}`,
    );
  });
  const role = granting[0] ?? roles.find((each) => may(each, row.action));
  if (role === undefined) throw noRole(caller);
  return role.name;
}

/** By caller, because a caller makes many calls. */
const parsed = new WeakMap<User, readonly Role[]>();

function rolesOf(user: User): readonly Role[] {
  let roles = parsed.get(user);
  if (roles === undefined) {
    roles = parseRoles(user);
    parsed.set(user, roles);
  }
  return roles;
}

function parseRoles({ roles }: User): readonly Role[] {
  return roles.flatMap((name): readonly Role[] => {
    if (name === ADMIN_ROLE) return [{ kind: 'admin', name }];
    const [, kind, vclusterId] = /^pact-(ops|viewer)-(.+)$/.exec(name) ?? [];
    if (vclusterId === undefined) return [];
    return [{ kind: kind === 'ops' ? 'ops' : 'viewer', name, vclusterId }];
  });
}

function may({ kind }: Role, action: Action): boolean {
  switch (action) {
    case 'observe':
    case 'read':
      return true;
    case 'write':
      return kind !== 'viewer';
    case 'administer':
      return kind === 'admin';
  }
}

function covers(role: Role, action: Action, target: Target, view: JournalView): boolean {
  if (role.kind === 'admin') return true;
  if (!may(role, action)) return false;
  switch (target.kind) {
    case 'everything':
      return false;
    case 'global':
      return action === 'read';
    case 'vcluster':
      return target.id === role.vclusterId;
    case 'node':
      return view.assignment(target.id) === role.vclusterId;
  }
}

function isOwn({ nodeId }: ComputeNode, action: Action, target: Target, view: JournalView): boolean {
  switch (target.kind) {
    case 'everything':
      return false;
    case 'global':
      return action === 'read';
    case 'vcluster':
      return action === 'read' && view.assignment(nodeId) === target.id;
    case 'node':
      return target.id === nodeId;
  }
}

function noRole(caller: User): AuthError {
  const right = `${ADMIN_ROLE}, pact-ops-VCLUSTER or pact-viewer-VCLUSTER`;
  return new AuthError(
    'noRole',
    `${caller.principal} has no role in this journal; the token must carry ${right}`,
  );
}

function named({ principal, roles }: User): string {
  return `${principal} (${roles.join(', ')})`;
}

const WORDS: Readonly<Record<Action, string>> = {
  observe: 'look at',
  read: 'read',
  write: 'change',
  administer: 'administer',
};

function words(action: Action): string {
  return WORDS[action];
}

function described(target: Target): string {
  switch (target.kind) {
    case 'global':
      return 'what is global';
    case 'everything':
      return 'all scopes at once; name one';
    case 'vcluster':
      return `virtual cluster ${JSON.stringify(target.id)}`;
    case 'node':
      return `node ${JSON.stringify(target.id)}`;
  }
}
