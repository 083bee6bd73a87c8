/** Capturing a host's real state. */
export { captureHost, DEFAULT_ETC_MAX_BYTES, type Capture, type CaptureOptions } from './capture.ts';
export type { CommandRunner } from './types.ts';
