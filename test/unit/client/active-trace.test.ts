import { context, createContextKey, createTraceState, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { StackContextManager } from '@opentelemetry/sdk-trace';
import { afterEach, expect, test } from 'vitest';
import { traceOfCall } from '../../../src/client/active-trace.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const around = { TRACEPARENT: `00-${traceId}-b7ad6b7169203331-01`, TRACESTATE: 'a=1' };
const active = { traceId: traceId.replace('0a', '0b'), spanId: '00f067aa0ba902b7', traceFlags: 1, traceState: createTraceState('b=2') };

afterEach(() => context.disable());

test('a call is a part of what its caller says, else of the active span, else of what the environment carries', () => {
  expect(traceOfCall(undefined, {})).toBeUndefined();
  expect(traceOfCall(undefined, around)).toEqual({ traceId, parentId: 'b7ad6b7169203331', flags: 1, state: 'a=1' });
  context.setGlobalContextManager(new StackContextManager().enable());
  const within = trace.setSpanContext(ROOT_CONTEXT, active);
  expect(context.with(within, () => traceOfCall(undefined, around))).toEqual({ traceId: active.traceId, parentId: active.spanId, flags: 1, state: 'b=2' });
  expect(context.with(within, () => traceOfCall({ traceparent: `00-${traceId}-b7ad6b7169203331-00` }, around))).toEqual({ traceId, parentId: 'b7ad6b7169203331', flags: 0 });
  expect(context.with(within, () => traceOfCall(false, around))).toBeUndefined();
  expect(context.with(ROOT_CONTEXT.setValue(createContextKey('other'), 1), () => traceOfCall(undefined, around)?.traceId)).toBe(traceId);
});

test('a trace that is malformed is none, and no error', () => {
  expect(traceOfCall({ traceparent: 'nonsense' }, around)).toBeUndefined();
});
