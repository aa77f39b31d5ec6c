/** The trace that a call of this process is a part of. */
import { createRequire } from 'node:module';
import type * as OpenTelemetry from '@opentelemetry/api';
import { parseTraceContext, traceIn } from '../domain/trace-context.ts';
import type { TraceContext, TraceHeaders } from '../domain/trace-context.ts';

/** Where every copy of the API's first version finds what a program has set up: absent, there is no span. */
const registered = Symbol.for('opentelemetry.js.api.1');
let api: typeof OpenTelemetry | undefined;

/**
 * What the caller says, else the span that is active in OpenTelemetry, else what `environment` carries.
 * @param given `false`: none of these. One that is malformed is none
 */
export function traceOfCall(given: TraceHeaders | false | undefined, environment: Readonly<Record<string, string>>): TraceContext | undefined {
  if (given === false) return undefined;
  const headers = given ?? activeSpan() ?? traceIn(environment);
  return headers === undefined ? undefined : parseTraceContext(headers);
}

function activeSpan(): TraceHeaders | undefined {
  if (!(registered in globalThis)) return undefined;
  // Loaded for nobody who does not use it already.
  api ??= createRequire(import.meta.url)('@opentelemetry/api') as typeof OpenTelemetry;
  const span = api.trace.getActiveSpan()?.spanContext();
  if (span === undefined || !api.isSpanContextValid(span)) return undefined;
  const { traceId, spanId, traceFlags, traceState } = span;
  const tracestate = traceState?.serialize() ?? '';
  return { traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`, ...(tracestate === '' ? {} : { tracestate }) };
}
