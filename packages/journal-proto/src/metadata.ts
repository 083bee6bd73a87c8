/** Metadata keys that the journal's clients and servers agree on. */

/** A unary write's idempotency key, 1 to 128 characters: a repeat gets the first answer. */
export const REQUEST_ID_KEY = 'x-pact-request-id';

/** In a failed call's trailers: the state machine's reason in one word, for example `parentUnknown`. */
export const VALIDATION_CODE_KEY = 'x-pact-validation-code';

/** In a failed write's trailers: `unknown` where it may have been done; only a repeat with its request id is safe. */
export const OUTCOME_KEY = 'x-pact-outcome';
