/**
 * Stands in for lattice-server on all of its ports: the key-value example is its Raft group and its REST interface, and
 * this process serves gRPC beside it.
 *
 *   lattice-stand-in GRPC_ADDRESS FLAGS_OF_THE_EXAMPLE...
 */
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

const [grpc = ''] = process.argv.splice(2, 1);
const server = new Server();
new HealthImplementation({ '': 'SERVING' }).addToServer(server);
await new Promise<void>((resolve, reject) => {
  server.bindAsync(grpc, ServerCredentials.createInsecure(), (error) => {
    if (error === null) resolve();
    else reject(error);
  });
});
await import('../../../examples/src/kv/main.ts');
