/** HTTP/2 frames as somebody writes them who cares for no library's manners (RFC 9113, RFC 7541). */

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const CONTINUATION = 9;
const END_HEADERS = 4;
const CANCEL = 8;
/** What a receiver must take in one frame, whoever it is. */
const FRAME_SIZE_MAX = 16_384;

/** How every connection of a client begins; without settings of its own. */
export const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  frame(SETTINGS, 0, 0, Buffer.alloc(0)),
]);

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** The headers of one stream, in as many frames as they need. The stream stays open. */
export function headersFrames(streamId: number, block: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < block.length || at === 0; at += FRAME_SIZE_MAX) {
    const piece = block.subarray(at, at + FRAME_SIZE_MAX);
    const isLast = at + FRAME_SIZE_MAX >= block.length;
    frames.push(frame(at === 0 ? HEADERS : CONTINUATION, isLast ? END_HEADERS : 0, streamId, piece));
  }
  return Buffer.concat(frames);
}

/** What a stream sends. It stays open. */
export function dataFrame(streamId: number, payload: Buffer): Buffer {
  return frame(DATA, 0, streamId, payload);
}

/** Gives up on a stream; `code` as in RFC 9113, 7, CANCEL where nothing is said. */
export function resetFrame(streamId: number, code: number = CANCEL): Buffer {
  const reason = Buffer.alloc(4);
  reason.writeUInt32BE(code);
  return frame(RST_STREAM, 0, streamId, reason);
}

/** Header blocks of one connection: the first one fills the receiver's table, every other one is a few bytes. */
export class CallHeaders {
  readonly first: Buffer;
  readonly again: Buffer;

  constructor(authority: string, path: string, token: string) {
    // :method POST and :scheme https are in the static table; what is added last is 62 in the dynamic one.
    const fixed = Buffer.of(0x83, 0x87);
    this.first = Buffer.concat([
      fixed,
      literal(Buffer.of(0x44), path),
      literal(Buffer.of(0x41), authority),
      literal(Buffer.of(0x5f), 'application/grpc'),
      literal(Buffer.of(0x57), `Bearer ${token}`),
    ]);
    this.again = Buffer.concat([fixed, Buffer.of(0xc1, 0xc0, 0xbf, 0xbe)]);
  }
}

/** A field that enters no table. */
export function plainField(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

function literal(name: Buffer, value: string): Buffer {
  return Buffer.concat([name, text(value)]);
}

/** A string with its length (RFC 7541, 5.2), without Huffman coding. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.of(...length, rest), bytes]);
}
