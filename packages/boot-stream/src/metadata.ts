/** Metadata keys of boots and subscriptions, beside those of `@pact-journal/journal-proto`. */

/** Request: serve no state older than the one that has applied this sequence (a decimal number). */
export const MIN_SEQUENCE_KEY = 'x-pact-min-sequence';

/** Trailer of RESOURCE_EXHAUSTED: milliseconds after which to try again. */
export const RETRY_AFTER_KEY = 'retry-after-ms';

/** Trailer of an ended subscription: the first sequence that was not delivered. */
export const RESUME_FROM_KEY = 'x-pact-resume-from';
