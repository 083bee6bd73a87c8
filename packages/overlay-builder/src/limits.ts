/** Compressed size of an overlay, in bytes: what the journal's state machine accepts. */
export const OVERLAY_DATA_BYTES_MAX = 10 * 1024 * 1024;

/**
 * Size of an overlay's content before compression, in bytes. A boot client refuses to inflate more than this by
 * default, so a builder must not produce it.
 */
export const OVERLAY_RAW_BYTES_MAX = 64 * 1024 * 1024;
