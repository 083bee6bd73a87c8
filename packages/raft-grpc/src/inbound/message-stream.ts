import type { ServerDuplexStream } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { Message, NodeId } from '@pact-journal/raft-core';
import { admit, decodeFrame } from '../codec/decode.ts';
import type { DecodedFrame } from '../codec/decode.ts';
import { MalformedFrame } from '../codec/wire.ts';
import { Lane } from '../gen/raft/v1/raft.ts';
import type { SendResponse } from '../gen/raft/v1/raft.ts';
import { checkHello } from './handshake.ts';
import type { InboundHost } from './host.ts';

/** Serves one stream of messages: the handshake first, then whatever comes, as long as it comes. */
export function serveMessages(call: ServerDuplexStream<Buffer, SendResponse>, host: InboundHost): void {
  let peer: NodeId | undefined;
  let over = false;

  const refuse = (code: status, reason: string): void => {
    over = true;
    call.emit('error', { code, details: reason });
  };

  const welcome = (frame: DecodedFrame): void => {
    const outcome = checkHello(call, frame.hello, host.hello(), host.options);
    if (typeof outcome !== 'number') {
      host.callerRefused(call.getPeer(), frame.hello?.nodeId ?? 0, outcome.kind, outcome.reason);
      refuse(outcome.code, outcome.reason);
      return;
    }
    if (frame.hello?.lane !== Lane.CONTROL && frame.hello?.lane !== Lane.BULK) {
      refuse(
        status.INVALID_ARGUMENT,
        'the handshake must say whether the stream is for control or bulk messages',
      );
      return;
    }
    peer = outcome;
    call.write({ hello: host.hello() });
    host.peerCalled(outcome, frame.hello);
    deliver(peer, frame);
  };

  const deliver = (from: NodeId, frame: DecodedFrame): void => {
    for (const reason of frame.refused) host.messageRefused(from, reason);
    let admitted: readonly Message[] = frame.messages;
    if (admitted.some((message) => admit(message, host.options.id, from) !== undefined)) {
      admitted = admitted.filter((message) => {
        const reason = admit(message, host.options.id, from);
        if (reason !== undefined) host.messageRefused(from, reason);
        return reason === undefined;
      });
    }
    if (admitted.length > 0) host.receive(from, admitted);
  };

  call.on('data', (bytes: Buffer) => {
    if (over) return;
    let frame: DecodedFrame;
    try {
      frame = decodeFrame(bytes, host.options.limits);
    } catch (error) {
      if (!(error instanceof MalformedFrame)) throw error;
      if (peer === undefined) host.callerRefused(call.getPeer(), 0, 'handshake', error.message);
      else host.messageRefused(peer, 'malformed');
      refuse(status.INVALID_ARGUMENT, error.message);
      return;
    }
    if (peer === undefined) welcome(frame);
    else deliver(peer, frame);
  });
  call.on('end', () => {
    if (!over) call.end();
  });
  // A caller that goes away is nothing to handle: its next stream begins anew.
  call.on('error', () => undefined);
}
