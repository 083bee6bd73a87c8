/**
 * OpenTelemetry traces, where an OTLP endpoint is configured; the packages are loaded only then.
 *
 * A commit's trace id follows from its request id, so that the spans of all nodes that took part are of one trace
 * without anything being passed between them, and all nodes sample the same ones.
 */
import { hash } from 'node:crypto';
import type { ServerConfig } from '../config/index.ts';
import { ServerError } from './errors.ts';

export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface Tracing {
  /** Writes down something that has just ended. Never throws, never waits. */
  ended(name: string, durationMs: number, requestId: string | undefined, attributes: SpanAttributes): void;
  /** Sends what waits, within a few seconds. Never rejects. */
  close(): Promise<void>;
}

const EXPORT_TIMEOUT_MS = 5_000;

/** Undefined where no endpoint is configured. Fails with {@link ServerError} where the packages are not installed. */
export async function openTracing(config: ServerConfig, version: string): Promise<Tracing | undefined> {
  const { otlpUrl, samplePercent } = config.tracing;
  if (otlpUrl === '') return undefined;
  const { BatchSpanProcessor, RandomIdGenerator, TraceIdRatioBasedSampler, TracerProvider, ...packages } =
    await loadPackages();
  let traceId: string | undefined;
  const random = new RandomIdGenerator();
  const provider = new TracerProvider({
    resource: packages.resourceFromAttributes({
      'service.name': 'pact-journal',
      'service.version': version,
      'service.instance.id': `${config.cluster.id}/${String(config.node.id)}`,
    }),
    sampler: new TraceIdRatioBasedSampler(samplePercent / 100),
    idGenerator: {
      generateTraceId: () => traceId ?? random.generateTraceId(),
      generateSpanId: () => random.generateSpanId(),
    },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new packages.OTLPTraceExporter({
          url: `${otlpUrl.replace(/\/+$/, '')}/v1/traces`,
          timeoutMillis: EXPORT_TIMEOUT_MS,
        }),
        scheduledDelayMillis: 1_000,
      }),
    ],
  });
  const tracer = provider.getTracer('pact-journal', version);
  return {
    ended: (name, durationMs, requestId, attributes) => {
      const endMs = Date.now();
      const identity: SpanAttributes = requestId === undefined ? {} : { 'pact.request_id': requestId };
      traceId = requestId === undefined ? undefined : traceIdOf(requestId);
      const startTime = endMs - durationMs;
      tracer
        .startSpan(name, { root: true, startTime, attributes: { ...attributes, ...identity } })
        .end(endMs);
    },
    close: async () => {
      const late = new Promise((resolve) => setTimeout(resolve, EXPORT_TIMEOUT_MS).unref());
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
    },
  };
}

/** 16 bytes in hexadecimal (https://www.w3.org/TR/trace-context/#trace-id). */
function traceIdOf(requestId: string): string {
  return hash('sha256', requestId, 'hex').slice(0, 32);
}

async function loadPackages() {
  try {
    const [sdk, exporter, resources] = await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    return { ...sdk, ...exporter, ...resources };
  } catch (cause) {
    const names = ['api', 'sdk-trace', 'exporter-trace-otlp-http', 'resources'];
    const install = names.map((name) => `@opentelemetry/${name}`).join(' ');
    throw new ServerError(
      'misconfigured',
      `tracing.otlp_url is set, but the packages that traces need are missing: npm install ${install}`,
      { cause },
    );
  }
}
