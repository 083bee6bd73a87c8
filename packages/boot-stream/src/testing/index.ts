/** For tests and benchmarks of servers: frames of clients that no HTTP/2 library would send. */
export { CallHeaders, dataFrame, headersFrames, plainField, PREFACE, resetFrame } from './frames.ts';
