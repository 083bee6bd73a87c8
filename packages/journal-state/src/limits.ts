import { assert } from './errors.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** ND1: a shorter life than 15 minutes would run out before anyone could look at it. */
export const TTL_SECONDS_MIN = 900;
/** ND2: what is needed for longer than 10 days is to be declared for good. */
export const TTL_SECONDS_MAX = 864_000;

/** How long a second person has to approve a change: long enough to be called, too short to be forgotten. */
export const APPROVAL_WINDOW_SECONDS = 1_800;

/** UTF-8 bytes. A Linux path (PATH_MAX) fits. */
export const KEY_SIZE_BYTES_MAX = 4 * KiB;
export const VALUE_SIZE_BYTES_MAX = MiB;
/** UTF-8 bytes of a node's or vCluster's id; a DNS name (253) fits, and a snapshot section's key built from it. */
export const ID_SIZE_BYTES_MAX = 256;
/** UTF-8 bytes of principal and role each. */
export const IDENTITY_SIZE_BYTES_MAX = KiB;
/** UTF-8 bytes of a message, policy reference, emergency reason or file owner. */
export const TEXT_SIZE_BYTES_MAX = 64 * KiB;
/** Code units of a request id. */
export const REQUEST_ID_LENGTH_MAX = 128;
/** UTF-8 bytes of an operation's `operation_id`. */
export const OPERATION_ID_SIZE_BYTES_MAX = 256;

/** Cursors of exporters, and UTF-8 bytes of a cursor's name and detail. */
export const CURSORS_MAX = 16;
export const CURSOR_NAME_SIZE_BYTES_MAX = 64;
export const CURSOR_DETAIL_SIZE_BYTES_MAX = KiB;

/** Items of one kind in a delta. */
export const DELTA_ITEMS_MAX = 100_000;

/**
 * An entry's or operation's canonical JSON, `hash` included. gRPC receivers refuse messages above 4 MiB by default;
 * the rest is left for what a message wraps around an entry.
 */
export const ENTRY_SIZE_BYTES_MAX = 3.5 * MiB;

/** An overlay's decoded data. */
export const OVERLAY_SIZE_BYTES_MAX = 10 * MiB;

/** How many request ids are remembered. */
export const REQUEST_IDS_MAX = 65_536;

/** A segment of history is sealed at this many records or before it would exceed this many bytes. */
export const SEGMENT_RECORDS_MAX = 4096;
export const SEGMENT_SIZE_BYTES_MAX = MiB;

/** File permission bits: rwx for three classes, set-user-id, set-group-id and sticky. */
export const FILE_MODE_MAX = 0o7777;
export const UINT32_MAX = 0xffff_ffff;

assert(VALUE_SIZE_BYTES_MAX < ENTRY_SIZE_BYTES_MAX, 'one value fits in an entry');
assert(ENTRY_SIZE_BYTES_MAX < 4 * MiB, 'an entry fits in a gRPC message');
