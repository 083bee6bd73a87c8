import { createHash } from 'node:crypto';

/** `sha256:<hex>` of some bytes. */
export function checksumOf(data: Uint8Array): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}
