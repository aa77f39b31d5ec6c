import { afterEach, describe, expect, test } from 'vitest';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import type { Span } from '../../../src/domain/span.ts';
import { createOtlpSink } from '../../../src/telemetry/otlp.ts';
import { OtlpReceiver } from '../../support/otlp-receiver.ts';
import type { Answer } from '../../support/otlp-receiver.ts';

const span: Span = {
  traceId: '0af7651916cd43dd8448eb211c80319c', spanId: '00f067aa0ba902b7', parent: { spanId: 'b7ad6b7169203331', isRemote: true }, flags: 1, state: 'a=1',
  name: 'run', kind: 'consumer', startMs: 1_700_000_000_123, endMs: 1_700_000_000_456, attributes: { 'beckon.run': 1, 'gen_ai.agent.name': 'fabric' },
  events: [{ name: 'flight.waiting', atMs: 1_700_000_000_200, attributes: {} }], isError: true,
};

let receiver: OtlpReceiver | undefined;
afterEach(() => receiver?.[Symbol.asyncDispose]());

async function sinkTo(answer?: Answer) {
  receiver = await OtlpReceiver.start(answer);
  return { at: receiver, sink: createOtlpSink({ url: `${receiver.url}/v1/traces`, nodeId: 'k51a', nodeName: 'laptop', version: '1.2.3', clock: createSystemClock() }) };
}

describe('spans over OTLP', () => {
  test('arrive as they are, with ids, parent, times and resource', async () => {
    const { at, sink } = await sinkTo();
    const { parent: _, ...rest } = span;
    const root: Span = { ...rest, spanId: '00f067aa0ba902b8', name: 'invoke', kind: 'internal', isError: false, events: [] };
    expect(await sink.deliver([span, root])).toEqual({ type: 'taken' });
    expect(at.paths).toEqual(new Set(['POST /v1/traces application/x-protobuf']));
    const [first, second] = at.spans;
    expect(first).toEqual({
      traceId: span.traceId, spanId: span.spanId, parentSpanId: 'b7ad6b7169203331', name: 'run', kind: 'consumer', traceState: 'a=1', startMs: span.startMs, endMs: span.endMs,
      attributes: span.attributes, events: ['flight.waiting'], isError: true,
      resource: expect.objectContaining({ 'service.name': 'beckon', 'service.version': '1.2.3', 'service.instance.id': 'k51a', 'beckon.node.name': 'laptop' }),
    });
    expect(second).toMatchObject({ traceId: span.traceId, spanId: '00f067aa0ba902b8', parentSpanId: '', isError: false });
    await sink.close();
  });

  test.each([
    ['refused for good', 400, { type: 'refused', why: 'it answers 400' }],
    ['not let in', 401, { type: 'failed', why: 'it answers 401' }],
    ['something else there', 404, { type: 'failed', why: 'it answers 404' }],
    ['a fault there', 500, { type: 'failed', why: 'it answers 500' }],
  ])('%s: %i', async (_what, status, told) => {
    const { sink } = await sinkTo((response) => void response.writeHead(status).end('words of somebody, perhaps secret'));
    expect(await sink.deliver([span])).toEqual(told);
  });

  test('a collector that answers garbage has taken them', async () => {
    const { sink } = await sinkTo((response) => void response.writeHead(200).end(Buffer.alloc(1000, 0xff)));
    expect(await sink.deliver([span])).toEqual({ type: 'taken' });
  });

  test('a connection that breaks is told by its code', async () => {
    const { sink } = await sinkTo((response) => void response.socket?.end('nonsense, and no HTTP\r\n\r\n'));
    expect(await sink.deliver([span])).toMatchObject({ type: 'failed' });
  });
});
