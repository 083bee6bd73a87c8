/** What travels between the event loop and the compression thread. Buffers are transferred, not copied. */
export interface CompressionRequest {
  readonly id: number;
  readonly content: Uint8Array<ArrayBuffer>;
}

export type CompressionReply =
  | {
      readonly id: number;
      readonly ok: true;
      readonly data: Uint8Array<ArrayBuffer>;
      readonly checksum: string;
    }
  | { readonly id: number; readonly ok: false; readonly reason: string };
