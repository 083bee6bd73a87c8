/** A record of an open section as a line of JSON. */
import { decodeBase64, isEmbeddable, plainView } from '../log/line.ts';
import type { PayloadFormat } from '../log/line.ts';

const RECORD = Buffer.from('{"record":', 'latin1');
const RECORD_BASE64 = Buffer.from('{"record_base64":"', 'latin1');
const END = Buffer.from('}\n', 'latin1');
const END_BASE64 = Buffer.from('"}\n', 'latin1');

/** Base64 is made of so much at a time; a multiple of three, so that no padding gets in between. */
const BASE64_SLICE_SIZE_BYTES = 48 * 1024;

/** The parts of the line, newline included. */
export function* recordLine(record: Uint8Array, format: PayloadFormat): Generator<Uint8Array> {
  if (isEmbeddable(record, format)) {
    yield RECORD;
    yield record;
    yield END;
    return;
  }
  yield RECORD_BASE64;
  const view = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  for (let from = 0; from < view.length; from += BASE64_SLICE_SIZE_BYTES) {
    yield Buffer.from(view.toString('base64', from, from + BASE64_SLICE_SIZE_BYTES), 'latin1');
  }
  yield END_BASE64;
}

function startsWith(line: Uint8Array, token: Uint8Array): boolean {
  for (let at = 0; at < token.length; at++) if (line[at] !== token[at]) return false;
  return true;
}

/** The record in a line without its newline, or undefined if the line has another form. A view of `line` or a copy. */
export function parseRecordLine(line: Uint8Array): Uint8Array | undefined {
  if (startsWith(line, RECORD_BASE64) && line.length >= RECORD_BASE64.length + 2) {
    return decodeBase64(line, RECORD_BASE64.length, line.length - 2);
  }
  if (startsWith(line, RECORD) && line.length > RECORD.length)
    return plainView(line, RECORD.length, line.length - 1);
  return undefined;
}
