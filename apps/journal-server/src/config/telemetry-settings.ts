/** The sections about telemetry. */
import { setting } from './setting.ts';
import { duration, integer, optionalText, optionalUrl, size } from './value-types.ts';

/** `[loki]` */
export const lokiSettings = {
  url: setting(
    optionalText('URL'),
    'loki-url',
    '',
    'where Loki takes logs, without /loki/api/v1/push; the leader sends it every journal entry. Empty for none',
  ),
  tenant: setting(optionalText('ID'), 'loki-tenant', '', 'sent as X-Scope-OrgID; empty for none'),
  username: setting(optionalText('NAME'), 'loki-username', '', 'for basic authentication at Loki'),
  passwordFile: setting(
    optionalText('FILE'),
    'loki-password-file',
    '',
    'holds the password that goes with it',
  ),
  tokenFile: setting(optionalText('FILE'), 'loki-token-file', '', 'holds a bearer token for Loki'),
  batchSize: setting(
    size(2 ** 10, 4 * 2 ** 20),
    'loki-batch-size',
    2 ** 20,
    'entries sent at once; as much waits in memory',
  ),
  batchWait: setting(
    duration(0, 60_000),
    'loki-batch-wait',
    1_000,
    'entries this close together are sent at once',
  ),
  timeout: setting(
    duration(100, 600_000),
    'loki-timeout',
    10_000,
    'a request that takes longer is made again',
  ),
  maxLineSize: setting(
    size(2 ** 14, 2 ** 24),
    'loki-max-line-size',
    256 * 2 ** 10,
    "longer entries are sent without their content; not above Loki's max_line_size",
  ),
  maxEntryAge: setting(
    duration(0, 36_500 * 86_400_000),
    'loki-max-entry-age',
    7 * 86_400_000,
    "older entries are not sent; Loki's reject_old_samples_max_age. 0ms sends all",
  ),
};

/** `[tracing]` */
export const tracingSettings = {
  otlpUrl: setting(
    optionalUrl(),
    'tracing-otlp-url',
    '',
    'where OpenTelemetry traces go (OTLP over HTTP), without /v1/traces; needs the @opentelemetry packages. Empty for none',
  ),
  samplePercent: setting(
    integer(1, 100),
    'tracing-sample-percent',
    100,
    'how many of a hundred traces are sent; the same ones on every member',
  ),
};
