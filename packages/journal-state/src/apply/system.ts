import type { Identity } from '../types.ts';

/** The journal's own identity: who ends what has run out. */
export const SYSTEM_IDENTITY: Identity = Object.freeze({
  principal: 'system:journal',
  principal_type: 'Service',
  role: 'system',
});

export function isSystem({ principal, principal_type }: Identity): boolean {
  return principal === SYSTEM_IDENTITY.principal && principal_type === 'Service';
}
