/**
 * Spans to a collector: OpenTelemetry's own SDK and OTLP over HTTP, in protobuf. What the setting does not say the SDK
 * reads itself, from the variables of the OpenTelemetry specification: headers, timeout, compression, certificates,
 * name and attributes of the service.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, createTraceState, trace } from '@opentelemetry/api';
import type { Context, HrTime } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import type { IdGenerator, ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Clock } from '../domain/ports.ts';
import type { Span, SpanDelivery, SpanSink } from '../domain/span.ts';

/** The exporter tries again and again for 10 s, or as OTEL_EXPORTER_OTLP_TIMEOUT has it; a body that drips in is not counted there. */
const longestMs = 30_000;
/** Statuses that say of the message itself that it will never do. */
const hopeless = new Set([400, 413, 422]);

export interface OtlpOptions {
  readonly url: string;
  readonly nodeId: string;
  readonly nodeName: string;
  readonly version: string;
  readonly clock: Clock;
}

export function createOtlpSink({ url, nodeId, nodeName, version, clock }: OtlpOptions): SpanSink {
  const { host } = new URL(url);
  const exporter = new OTLPTraceExporter({ url, concurrencyLimit: 2 });
  const ids = new GivenIds();
  const ended = new Ended();
  const own = { 'service.name': 'beckon', 'service.version': version, 'service.instance.id': nodeId, 'beckon.node.name': nodeName };
  const resource = defaultResource().merge(resourceFromAttributes(own)).merge(detectResources({ detectors: [envDetector] }));
  const provider = new TracerProvider({ resource, idGenerator: ids, sampler: new AlwaysOnSampler(), spanProcessors: [ended] });
  const tracer = provider.getTracer('beckon', version);

  function make(span: Span): void {
    ids.next = span;
    const made = tracer.startSpan(span.name, { kind: kinds[span.kind], startTime: timeOf(span.startMs), attributes: { ...span.attributes } }, contextOf(span));
    for (const { name, attributes, atMs } of span.events) made.addEvent(name, { ...attributes }, timeOf(atMs));
    if (span.isError) made.setStatus({ code: SpanStatusCode.ERROR });
    made.end(timeOf(span.endMs));
  }

  return {
    host,
    deliver: (spans) => {
      for (const span of spans) make(span);
      const batch = ended.take();
      return new Promise((resolve) => {
        const cancelTimer = clock.setTimer(longestMs, () => resolve({ type: 'failed', why: `no answer within ${longestMs / 1000} s` }));
        exporter.export(batch, ({ error }) => {
          cancelTimer();
          resolve(error === undefined ? { type: 'taken' } : failureOf(error));
        });
      });
    },
    close: async () => {
      // What is still on its way goes or fails by itself: a node that stops waits for no collector.
      void exporter.shutdown();
      await provider.shutdown();
    },
  };
}

const kinds = { internal: SpanKind.INTERNAL, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER } as const;

function timeOf(ms: number): HrTime {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];
}

function contextOf({ traceId, parent, state }: Span): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const traceState = state === undefined ? {} : { traceState: createTraceState(state) };
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: parent.spanId, isRemote: parent.isRemote, traceFlags: TraceFlags.SAMPLED, ...traceState });
}

/** The SDK makes ids of its own unless it is given others: here they are made from what is stored. */
class GivenIds implements IdGenerator {
  next: Pick<Span, 'traceId' | 'spanId'> = { traceId: '', spanId: '' };
  readonly generateTraceId = (): string => this.next.traceId;
  readonly generateSpanId = (): string => this.next.spanId;
}

/** Spans that have ended, until they are taken: nothing waits in the SDK. */
class Ended implements SpanProcessor {
  #spans: ReadableSpan[] = [];

  take(): ReadableSpan[] {
    const spans = this.#spans;
    this.#spans = [];
    return spans;
  }

  onStart(): void {
    return;
  }

  onEnd(span: ReadableSpan): void {
    this.#spans.push(span);
  }

  forceFlush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}

/** By code alone: the words of a collector may be anybody's. */
function failureOf(error: Error): SpanDelivery {
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'number') return hopeless.has(code) ? { type: 'refused', why: `it answers ${code}` } : { type: 'failed', why: `it answers ${code}` };
  return { type: 'failed', why: typeof code === 'string' ? code : 'it does not answer' };
}
