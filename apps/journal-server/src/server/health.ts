import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { handleServerStreamingCall, Server, ServerWritableStream } from '@grpc/grpc-js';
import { loadSync, type EnumTypeDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { fileDescriptorSet } from '@pact-journal/journal-proto';
import { HealthImplementation, protoPath as healthProtoPath } from 'grpc-health-check';

/** The services that health reports by name; the empty name is the server as a whole. */
export interface HealthSwitch {
  /** `SERVING` or `NOT_SERVING`, for the server and for every named service. */
  setServing(serving: boolean): void;
  /** Ends the calls of those who watch: they have been told, and would otherwise hold up a stopping server. */
  endWatches(): void;
}

/**
 * Adds grpc.health.v1, and server reflection v1 and v1alpha (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md)
 * for every service of this server, these included.
 */
export function addHealthAndReflection(server: Server, services: readonly string[]): HealthSwitch {
  const names = ['', ...services];
  const health = new HealthImplementation(
    Object.fromEntries(names.map((name) => [name, 'NOT_SERVING' as const])),
  );
  const watches = new Set<ServerWritableStream<unknown, unknown>>();
  health.addToServer({
    addService: (service, handlers) => {
      server.addService(service, { ...handlers, watch: remembering(watches, handlers['watch']) });
    },
  });
  const reflection = new ReflectionService({ ...loadSync(healthProtoPath), journal: journalFiles() });
  reflection.addToServer(server);
  return {
    setServing: (serving) => {
      for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    endWatches: () => {
      for (const call of watches) call.end();
    },
  };
}

/** The handler, with its open calls in a set. */
function remembering(
  open: Set<ServerWritableStream<unknown, unknown>>,
  handler: unknown,
): handleServerStreamingCall<unknown, unknown> {
  if (typeof handler !== 'function')
    throw new Error('assertion failed: the health service has a watch method');
  return (call) => {
    open.add(call);
    call.on('cancelled', () => open.delete(call));
    Reflect.apply(handler, undefined, [call]);
  };
}

/** The journal's .proto files as reflection takes them: it looks at nothing but the encoded files. */
function journalFiles(): EnumTypeDefinition {
  const reader = new BinaryReader(fileDescriptorSet());
  const fileDescriptorProtos: Buffer[] = [];
  while (reader.pos < reader.len) {
    reader.tag();
    fileDescriptorProtos.push(Buffer.from(reader.bytes()));
  }
  return { format: 'Protocol Buffer 3 EnumDescriptorProto', type: {}, fileDescriptorProtos };
}
