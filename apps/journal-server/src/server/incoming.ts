/** A call that came in, through grpc-js or past it. */
import type { Deadline, Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import { FRONT_KEY_PREFIX, type UnaryCall } from '@pact-journal/boot-stream';

/** The first value of a metadata key, in lower case; undefined where there is none. */
export type HeaderReader = (name: string) => string | undefined;

export interface IncomingCall {
  readonly header: HeaderReader;
  readonly deadline: Deadline;
  /** Calls back once where the client gives up before the answer. */
  readonly onCancel: (listener: () => void) => void;
}

export function headersOf(metadata: Metadata): HeaderReader {
  return (name) => metadata.get(name)[0]?.toString();
}

export function incomingOf(call: ServerUnaryCall<unknown, unknown>): IncomingCall {
  const onCancel = (listener: () => void): void => {
    call.on('cancelled', listener);
  };
  return { header: headersOf(call.metadata), deadline: call.getDeadline(), onCancel };
}

/** The front's own words are its own: a client's with such names are not looked at. */
export function headersOfFront({ headers, metadata }: Pick<UnaryCall, 'headers' | 'metadata'>): HeaderReader {
  return (name) => {
    if (name.startsWith(FRONT_KEY_PREFIX)) return metadata[name];
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
}

export function incomingOfFront(call: UnaryCall): IncomingCall {
  const { deadlineMs, onCancel } = call;
  const deadline = deadlineMs === Infinity ? Infinity : Date.now() + deadlineMs - performance.now();
  return { header: headersOfFront(call), deadline, onCancel };
}
