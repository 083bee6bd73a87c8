import type { Timestamp } from '@pact-journal/journal-state';
import type { Timestamp as WireTimestamp } from '../gen/google/protobuf/timestamp.ts';
import { required, WireError } from './errors.ts';

/** 0001-01-01 and 9999-12-31: what google.protobuf.Timestamp and RFC 3339 can both say. */
const MIN_SECONDS = -62_135_596_800;
const MAX_SECONDS = 253_402_300_799;

/** Fails with `WireError` where the text is not a time. */
export function timestampToWire(time: Timestamp, field = 'timestamp'): WireTimestamp {
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) {
    throw new WireError(
      'malformed',
      field,
      `must be a time such as 2026-11-24T08:00:00.000Z, not ${JSON.stringify(time.slice(0, 40))}`,
    );
  }
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * 1_000_000 };
}

/** What is finer than a millisecond is cut off. Fails with `WireError` where it is absent or out of range. */
export function timestampFromWire(time: WireTimestamp | undefined, field = 'timestamp'): Timestamp {
  const { seconds, nanos } = required(time, field);
  if (seconds < MIN_SECONDS || seconds > MAX_SECONDS || nanos < 0 || nanos > 999_999_999) {
    throw new WireError(
      'outOfRange',
      field,
      'must be between the years 1 and 9999, with 0 to 999999999 nanoseconds',
    );
  }
  return new Date(seconds * 1000 + Math.floor(nanos / 1_000_000)).toISOString();
}
