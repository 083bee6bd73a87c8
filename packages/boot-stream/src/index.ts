export { BootClient } from './client/boot-client.ts';
export type { BootClientOptions, BootOptions, BootResult, FetchedBoot } from './client/boot-client.ts';
export {
  decompressBounded,
  effectiveConfig,
  parseDelta,
  parseOverlay,
  verifyChecksum,
} from './client/decode.ts';
export type { ConfigValue, NodeConfig, OverlayDocument } from './client/decode.ts';
export type { EndpointsOptions } from './client/endpoints.ts';
export type { ReceivedOverlay } from './client/receive.ts';
export type { ConfigUpdate, SubscribeOptions } from './client/subscribe.ts';
export { BootStreamError, isBootStreamError } from './errors.ts';
export type { BootStreamErrorCode, BootStreamErrorOptions } from './errors.ts';
export type { Admission, Admit, Admitted, FrontRequest, Refused } from './front/admission.ts';
export type { AddressLimits } from './front/doorkeeper.ts';
export type { DuplexCall, DuplexListener, DuplexMethod } from './front/duplex.ts';
export { FRONT_KEY_PREFIX } from './front/forwarder.ts';
export { BootFront, FRONT_PEER_KEY } from './front/front.ts';
export type { BootFrontOptions, BootFrontStats, FrontCall, FrontCallEnd, FrontTls } from './front/options.ts';
export type { UnaryCall, UnaryMethod } from './front/unary.ts';
export type { CallStatus } from './server/call.ts';
export {
  CHUNK_SIZE_BYTES_MAX,
  DATA_SIZE_BYTES_MAX,
  DEFAULT_BOOT_LIMITS,
  RAW_SIZE_BYTES_MAX,
  REQUEST_SIZE_BYTES_MAX,
} from './limits.ts';
export type { BootLimits } from './limits.ts';
export { MIN_SEQUENCE_KEY, RESUME_FROM_KEY, RETRY_AFTER_KEY } from './metadata.ts';
export { BootServer } from './server/boot-server.ts';
export type { BootServerOptions, BootServerStats } from './server/boot-server.ts';
export { bootServiceDefinition, bootServiceHandlers } from './server/grpc-service.ts';
export type { SubscriptionStats } from './server/subscriptions.ts';
export type { BootSource } from './source.ts';
export { BLACKLIST_KEY } from './wire/updates.ts';
export type { UpdateKind } from './wire/updates.ts';
