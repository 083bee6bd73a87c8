/** An append stream as its session sees it, whether it came through grpc-js or past it. */
import { Metadata, status, type ServerDuplexStream } from '@grpc/grpc-js';
import type { DuplexMethod } from '@pact-journal/boot-stream';
import { journal } from '@pact-journal/journal-proto';
import { frontStatus, type Status } from '../grpc-status.ts';
import { headersOf, headersOfFront, type HeaderReader } from '../incoming.ts';
import { decoded } from '../rpc.ts';

const { appendStream } = journal.JournalAppendServiceDefinition;

/** Room for a message of a thousand entries of usual size. */
const WINDOW_SIZE_BYTES = 1024 * 1024;

export interface AppendCall {
  readonly header: HeaderReader;
  /** False: enough is queued, wait for `drained`. */
  write(response: journal.AppendStreamResponse): boolean;
  /** Has nothing more read from the client until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the call with OK, or with a failure. Nobody is told of anything after it. */
  end(failure?: Status & Error): void;
}

/** What a session is told of its call. */
export interface AppendListener {
  receive(message: journal.AppendStreamRequest): void;
  /** What came is no message of the service. */
  unreadable(error: unknown): void;
  /** The client sends no more. */
  halfClosed(): void;
  drained(): void;
  /** The call is over before it was ended. */
  over(code: status): void;
}

export type OpenAppends = (call: AppendCall) => AppendListener;

export function openOnGrpcJs(
  call: ServerDuplexStream<journal.AppendStreamRequest, journal.AppendStreamResponse>,
  open: OpenAppends,
): void {
  const listener = open({
    header: headersOf(call.metadata),
    write: (response) => call.write(response),
    pause: () => call.pause(),
    resume: () => call.resume(),
    end: (failure) => {
      if (failure === undefined) call.end();
      else call.emit('error', failure);
    },
  });
  call.on('data', (message: journal.AppendStreamRequest) => {
    listener.receive(message);
  });
  call.on('end', () => {
    listener.halfClosed();
  });
  call.on('drain', () => {
    listener.drained();
  });
  call.on('cancelled', () => {
    listener.over(status.CANCELLED);
  });
  call.on('error', () => {
    listener.over(status.CANCELLED);
  });
}

/** The same for a front that answers the calls without grpc-js. */
export function appendsOfFront(messageSizeBytesMax: number, open: OpenAppends): DuplexMethod {
  return {
    messageSizeBytesMax,
    windowSizeBytes: WINDOW_SIZE_BYTES,
    open: (call) => {
      const listener = open({
        header: headersOfFront(call),
        write: (response) => call.write(appendStream.responseSerialize(response)),
        pause: () => {
          call.pause();
        },
        resume: () => {
          call.resume();
        },
        end: (failure) => {
          call.end(frontStatus(failure ?? OK));
        },
      });
      return {
        onMessage: (bytes) => {
          let message: journal.AppendStreamRequest;
          try {
            message = decoded(appendStream, bytes);
          } catch (error) {
            listener.unreadable(error);
            return;
          }
          listener.receive(message);
        },
        onEnd: () => {
          listener.halfClosed();
        },
        onDrain: () => {
          listener.drained();
        },
        onOver: (code) => {
          listener.over(code);
        },
      };
    },
  };
}

const OK: Status = { code: status.OK, details: '', metadata: new Metadata() };
