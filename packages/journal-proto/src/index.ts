/** Messages and services by their package's last name: `journal.ConfigServiceClient`, `config.ConfigEntry`. */
export * as config from './gen/pact/config.ts';
export * as journal from './journal.ts';
export * as policy from './gen/pact/policy.ts';
export * as stream from './gen/pact/stream.ts';
export { Duration } from './gen/google/protobuf/duration.ts';
export { Timestamp } from './gen/google/protobuf/timestamp.ts';
export { fileDescriptorSet } from './gen/descriptors.ts';
