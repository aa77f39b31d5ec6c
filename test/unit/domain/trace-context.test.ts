import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTraceContext, isSampled, longestTracestate, parseTraceContext, readTraceContext, traceIn, writeTraceContext } from '../../../src/domain/trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';
const traceparent = `00-${traceId}-${parentId}-01`;

describe('W3C trace context', () => {
  test('is read and written as it came', () => {
    const trace = parseTraceContext({ traceparent, tracestate: 'rojo=00f067aa0ba902b7, congo=t61rcWkgMzE' });
    expect(trace).toEqual({ traceId, parentId, flags: 1, state: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE' });
    expect(trace && isSampled(trace)).toBe(true);
    expect(trace && formatTraceContext(trace)).toEqual({ traceparent, tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE' });
  });

  test.each([
    ['of a newer version, with what that has behind it', `cc-${traceId}-${parentId}-01-what-the-future-will-be`, 1],
    ['of a newer version without more', `01-${traceId}-${parentId}-00`, 0],
    ['with flags that nobody knows, of which those known are kept', `00-${traceId}-${parentId}-ff`, 3],
    ['with space around it', ` ${traceparent} `, 1],
  ])('is taken %s', (_what, text, flags) => {
    expect(parseTraceContext({ traceparent: text })).toEqual({ traceId, parentId, flags });
  });

  test.each([
    ['', 'nothing'],
    [`00-${traceId.toUpperCase()}-${parentId}-01`, 'upper case'],
    [`00-${'0'.repeat(32)}-${parentId}-01`, 'no trace'],
    [`00-${traceId}-${'0'.repeat(16)}-01`, 'no parent'],
    [`ff-${traceId}-${parentId}-01`, 'the version that can not be'],
    [`${traceparent}-more`, 'more than version 00 has'],
    [`00-${traceId}-${parentId}`, 'no flags'],
    [`cc-${traceId}-${parentId}-01.more`, 'more without a dash'],
    [`cc-${traceId}-${parentId}-01-${'x'.repeat(100_000)}`, 'a hostile length'],
    [`00-${traceId.slice(1)}-${parentId}-01`, 'too short a trace id'],
  ])('is none, and no error: %s (%s)', (text) => {
    expect(parseTraceContext({ traceparent: text, tracestate: 'a=1' })).toBeUndefined();
  });

  test.each([
    ['no list', 'rojo'],
    ['a key twice', 'a=1,b=2,a=3'],
    ['more than 32 entries', Array.from({ length: 33 }, (_, at) => `k${at}=1`).join(',')],
    ['upper case in a key', 'Rojo=1'],
    ['control characters', 'a=1\n2'],
    ['megabytes', `a=${'x'.repeat(2_000_000)}`],
  ])('a state that is none (%s) is left out, the trace stays', (_what, tracestate) => {
    expect(parseTraceContext({ traceparent, tracestate })).toEqual({ traceId, parentId, flags: 1 });
  });

  test('a state that is too long loses its long entries first, then the last ones', () => {
    const long = `vendor=${'x'.repeat(200)}`;
    const short = Array.from({ length: 20 }, (_, at) => `k${at}=${'y'.repeat(20)}`);
    const { state = '' } = parseTraceContext({ traceparent, tracestate: [long, ...short].join(',') }) ?? {};
    expect(state).not.toContain('vendor');
    expect(state.length).toBeLessThanOrEqual(longestTracestate);
    expect(state).toBe(short.slice(0, state.split(',').length).join(','));
  });

  test('whatever comes is bounded, never throws, and survives the store', () => {
    fc.assert(
      fc.property(fc.oneof(fc.constant(traceparent), fc.string()), fc.string({ maxLength: 3000 }), (text, tracestate) => {
        const trace = parseTraceContext({ traceparent: text, tracestate });
        if (trace === undefined) return;
        expect((trace.state ?? '').length).toBeLessThanOrEqual(longestTracestate);
        expect(readTraceContext(writeTraceContext(trace))).toEqual(trace);
      }),
    );
  });

  test('a trace that begins has no parent, in the store either, and is told to nobody as it is', () => {
    const trace = { traceId, flags: 3 };
    expect(readTraceContext(writeTraceContext(trace))).toEqual(trace);
    expect(formatTraceContext(trace)).toBeUndefined();
  });

  test('variables carry it', () => {
    expect(traceIn({ TRACEPARENT: traceparent, TRACESTATE: 'a=1' })).toEqual({ traceparent, tracestate: 'a=1' });
    expect(traceIn({ TRACESTATE: 'a=1' })).toBeUndefined();
  });
});
