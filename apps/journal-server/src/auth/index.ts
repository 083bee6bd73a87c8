/** Authentication and authorization: who calls, and who may do what. */
export { Access, statusOfAuthError, type AccessOptions } from './access.ts';
export { type Grant } from './authorizer.ts';
export { encodeCaller, type Caller } from './caller.ts';
export { AUTH_REASON_KEY, AuthError, isAuthError, type AuthReason } from './errors.ts';
export { CALLER_KEY, ON_BEHALF_KEY } from './gate.ts';
export { ENTRY_ROW, OPERATION_ROW } from './roles.ts';
export { Security, type MemberChannel } from './security.ts';
