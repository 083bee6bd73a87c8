/**
 * What does not fit about a caller.
 *
 * - `handshake`: it says nothing of itself
 * - `cluster`: it belongs to another group
 * - `version`: its protocol or its program cannot be mixed with this node's
 * - `node`: it means another node, or claims to be this one
 * - `identity`: it is not who it claims to be
 */
export type CallerRefusal = 'handshake' | 'cluster' | 'version' | 'node' | 'identity';
