/** Messages and services by their package's last name: `journal.ConfigServiceClient`, `config.ConfigEntry`. */
export * as config from './gen/pact/config.ts';
export * as journal from './journal.ts';
export * as policy from './gen/pact/policy.ts';
export * as stream from './gen/pact/stream.ts';
export { Duration } from './gen/google/protobuf/duration.ts';
export { Timestamp } from './gen/google/protobuf/timestamp.ts';
export { fileDescriptorSet } from './gen/descriptors.ts';

export { OUTCOME_KEY, REQUEST_ID_KEY, VALIDATION_CODE_KEY } from './metadata.ts';

export { isWireError, WireError } from './map/errors.ts';
export type { WireErrorCode } from './map/errors.ts';
export * from './map/enums.ts';
export * from './map/time.ts';
export * from './map/scope.ts';
export * from './map/delta.ts';
export * from './map/entry.ts';
export * from './map/policy.ts';
export * from './map/operation.ts';
export * from './map/node.ts';
export * from './map/effective.ts';
export * from './map/overlay.ts';
