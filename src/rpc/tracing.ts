/** W3C trace context: wire and domain. What is malformed is not there; it is no error. */
import { formatTraceContext, parseTraceContext } from '../domain/trace-context.ts';
import type { TraceContext } from '../domain/trace-context.ts';

export interface TraceFields {
  readonly traceparent: string;
  readonly tracestate: string;
}

const none: TraceFields = { traceparent: '', tracestate: '' };

export function encodeTrace(trace: TraceContext | undefined): TraceFields {
  const headers = trace === undefined ? undefined : formatTraceContext(trace);
  return headers === undefined ? none : { ...none, ...headers };
}

export function decodeTrace({ traceparent, tracestate }: TraceFields): { readonly trace?: TraceContext } {
  const trace = traceparent === '' ? undefined : parseTraceContext({ traceparent, tracestate });
  return trace === undefined ? {} : { trace };
}
