/**
 * - `unknownVCluster`: nothing has ever mentioned the virtual cluster; check the id.
 * - `tooLarge`: the content does not fit the limits of an overlay; the configuration has to shrink.
 * - `compressionFailed`: the compression worker failed or died; the next build starts a new one.
 * - `closed`: the builder was shut down while the build was waiting.
 */
export type OverlayErrorCode = 'unknownVCluster' | 'tooLarge' | 'compressionFailed' | 'closed';

const CODES: ReadonlySet<unknown> = new Set<OverlayErrorCode>([
  'unknownVCluster',
  'tooLarge',
  'compressionFailed',
  'closed',
]);

/** Why an overlay could not be built. */
export class OverlayError extends Error {
  override readonly name = 'OverlayError';
  readonly code: OverlayErrorCode;

  constructor(code: OverlayErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** True for an OverlayError of any copy of this package. */
export function isOverlayError(error: unknown): error is OverlayError {
  return error instanceof Error && error.name === 'OverlayError' && 'code' in error && CODES.has(error.code);
}
