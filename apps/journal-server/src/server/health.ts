import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Server } from '@grpc/grpc-js';
import { loadSync, type EnumTypeDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { fileDescriptorSet } from '@pact-journal/journal-proto';
import { HealthImplementation, protoPath as healthProtoPath } from 'grpc-health-check';

/** The services that health reports by name; the empty name is the server as a whole. */
export interface HealthSwitch {
  /** `SERVING` or `NOT_SERVING`, for the server and for every named service. */
  setServing(serving: boolean): void;
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
  health.addToServer(server);
  const reflection = new ReflectionService({ ...loadSync(healthProtoPath), journal: journalFiles() });
  reflection.addToServer(server);
  return {
    setServing: (serving) => {
      for (const name of names) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
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
