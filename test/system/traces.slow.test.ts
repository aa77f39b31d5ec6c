/** A trace as it is gathered: two nodes, an agent that calls another, and a collector. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { beckonPath } from '../support/cli.ts';
import type { Json } from '../support/cli.ts';
import { Cluster } from '../support/cluster.ts';
import type { TestNode } from '../support/node-process.ts';
import { OtlpReceiver } from '../support/otlp-receiver.ts';
import type { ReceivedSpan } from '../support/otlp-receiver.ts';
import { ServedProcess } from '../support/served-process.ts';
import { waitFor } from '../support/wait-for.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const callerSpan = '00f067aa0ba902b7';
const caller = { TRACEPARENT: `00-${traceId}-${callerSpan}-01`, TRACESTATE: 'vendor=opaque' };
const secret = 'the task that is in no span';

const configure = (node: TestNode, endpoint: string): void => writeFileSync(join(node.home, 'config.toml'), `traces_endpoint = "${endpoint}"\n`, { mode: 0o600 });

describe('one trace', () => {
  let cluster: Cluster;
  let laptop: TestNode;
  let desktop: TestNode;
  let receiver: OtlpReceiver;

  beforeAll(async () => {
    receiver = await OtlpReceiver.start();
    cluster = await Cluster.create();
    [laptop, desktop] = [await cluster.node('laptop'), await cluster.node('desktop')];
    for (const node of [laptop, desktop]) configure(node, receiver.url);
    await cluster.join([laptop, desktop]);
    const note = (name: string): string => `printf '%s\\n' "$TRACEPARENT" "$TRACESTATE" > '${cluster.path(name)}'`;
    await desktop.addAgent('relay', [cluster.program('relay', `${note('relay.env')}\n${beckonPath} invoke leaf@laptop/main 'go on' -q`)]);
    await desktop.addAgent('mute', [cluster.program('mute', `exec env -u TRACEPARENT -u TRACESTATE ${beckonPath} invoke leaf@laptop/main x -q`)]);
    await laptop.addAgent('leaf', [cluster.program('leaf', `${note('leaf.env')}\necho done`)]);
    await waitFor('the agents to be known at both', async () => {
      const seen = await Promise.all([laptop, desktop].map(async (node) => ((await node.json(['agents']))['agents'] as Json[]).length));
      return seen.every((count) => count === 3);
    });
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    await receiver?.[Symbol.asyncDispose]();
  });

  const told = (name: string, node: TestNode, among: readonly ReceivedSpan[]): ReceivedSpan[] => among.filter((span) => span.name === name && span.resource['beckon.node.name'] === node.name);
  const only = (name: string, node: TestNode, parent: string, among: readonly ReceivedSpan[]): ReceivedSpan => {
    const found = told(name, node, among).filter(({ parentSpanId }) => parentSpanId === parent);
    expect(found.map((span) => `${span.name} at ${node.name} below ${parent}`)).toEqual([`${name} at ${node.name} below ${parent}`]);
    return found[0] as ReceivedSpan;
  };

  test('holds accept, hold, forward, start, run and finish of two nodes and of what the agent called, over kill -9 of its origin while it was held', async () => {
    await desktop.down();
    await laptop.peer('desktop', 'unreachable');
    const [accepted] = (await laptop.beckon(['invoke', 'relay@desktop/main', secret, '--detach', '--json'], { env: caller })).events;
    await laptop.kill9();
    await laptop.up();
    await desktop.up();
    await waitFor('it to be over', async () => (await laptop.json(['flight', 'show', String(accepted?.['flightId'])]))['flight']['state'] === 'completed', { timeoutMs: 30_000 });
    const spans = await waitFor('the whole trace', () => {
      const all = receiver.ofTrace(traceId);
      return told('invoke', laptop, all).length === 1 && told('invoke', desktop, all).length === 1 && told('flight', laptop, all).length === 1 && told('flight', desktop, all).length === 1 ? all : undefined;
    }, { timeoutMs: 20_000 });

    const invoke = only('invoke', laptop, callerSpan, spans);
    const hold = only('hold', laptop, invoke.spanId, spans);
    const accept = only('accept', laptop, invoke.spanId, spans);
    const forward = only('forward', laptop, invoke.spanId, spans);
    only('finish', laptop, invoke.spanId, spans);
    const flight = only('flight', desktop, forward.spanId, spans);
    only('start', desktop, flight.spanId, spans);
    const run = only('run', desktop, flight.spanId, spans);
    only('finish', desktop, flight.spanId, spans);

    const [traceparent, tracestate] = readFileSync(cluster.path('relay.env'), 'utf8').split('\n');
    expect([traceparent, tracestate]).toEqual([`00-${traceId}-${run.spanId}-01`, caller.TRACESTATE]);
    const nested = only('invoke', desktop, run.spanId, spans);
    const onward = only('forward', desktop, nested.spanId, spans);
    const leaf = only('flight', laptop, onward.spanId, spans);
    const leafRun = only('run', laptop, leaf.spanId, spans);
    expect(readFileSync(cluster.path('leaf.env'), 'utf8').split('\n')[0]).toBe(`00-${traceId}-${leafRun.spanId}-01`);

    // Each span has a parent that was told, up to the caller's own.
    const ids = new Set([callerSpan, ...spans.map(({ spanId }) => spanId)]);
    expect(spans.filter(({ parentSpanId }) => !ids.has(parentSpanId))).toEqual([]);
    expect(accept.startMs).toBeLessThanOrEqual(hold.startMs);
    expect(hold.endMs).toBeLessThanOrEqual(forward.startMs);
    expect(invoke.endMs).toBeGreaterThanOrEqual(forward.endMs);
    for (const span of spans) {
      expect(span.endMs).toBeGreaterThanOrEqual(span.startMs);
      expect(span.traceState).toBe(caller.TRACESTATE);
    }
    expect(hold.attributes).toMatchObject({ 'beckon.hold.reason': 'peer_unreachable' });
    expect(run.attributes).toMatchObject({ 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'relay', 'beckon.flight.state': 'completed', 'process.exit.code': 0 });
    expect(JSON.stringify(receiver.spans)).not.toContain(secret);
    expect(JSON.stringify(receiver.spans)).not.toMatch(/done|go on/);
  });

  test('begins by itself where its caller has none, and is the same at both nodes', async () => {
    const before = new Set(receiver.spans.map((span) => span.traceId));
    expect((await laptop.invoke(['relay@desktop/main', secret])).code).toBe(0);
    const fresh = await waitFor('a trace of its own', () => {
      const ids = [...new Set(receiver.spans.map((span) => span.traceId))].filter((id) => !before.has(id));
      return ids.length > 0 && told('invoke', laptop, receiver.ofTrace(ids[0] ?? '')).length === 1 && told('flight', desktop, receiver.ofTrace(ids[0] ?? '')).length === 1 ? ids : undefined;
    });
    expect(fresh).toHaveLength(1);
    expect(told('invoke', laptop, receiver.ofTrace(fresh[0] ?? ''))[0]?.parentSpanId).toBe('');
  });

  test.each(['mute', 'door'])('goes on in what an agent calls that passes nothing on, or that is served by a program: %s', async (name) => {
    const ownId = traceId.replace('4b', name === 'mute' ? '7e' : '8f');
    const body = "const { text } = await context.invoke('leaf@laptop/main', 'x').result(); yield context.env.TRACEPARENT + ' ' + text";
    const served = name === 'door' ? await new ServedProcess({ node: desktop, name, body }).serving() : undefined;
    try {
      if (served !== undefined) await waitFor('door to be known', async () => ((await laptop.json(['agents']))['agents'] as Json[]).some((each) => each['address'] === '@door@desktop#main' && each['available'] === true));
      const { code, last } = await laptop.invoke([`${name}@desktop/main`, secret], { env: { TRACEPARENT: `00-${ownId}-${callerSpan}-01` } });
      expect(code).toBe(0);
      const spans = await waitFor('the whole trace', () => {
        const all = receiver.ofTrace(ownId);
        return told('invoke', desktop, all).length === 1 && told('flight', desktop, all).length === 1 ? all : undefined;
      }, { timeoutMs: 20_000 });
      const [run] = told('run', desktop, spans);
      expect(told('invoke', desktop, spans)[0]?.parentSpanId).toBe(run?.spanId);
      if (served !== undefined) expect(last['output']).toBe(`00-${ownId}-${run?.spanId}-01 done\n`);
    } finally {
      served?.signal('SIGKILL');
      await served?.ended();
    }
  });

  test('that is not sampled is told by nobody, and reaches the agent all the same', async () => {
    const unsampled = traceId.replace('4b', '5c');
    expect((await laptop.invoke(['relay@desktop/main', secret], { env: { TRACEPARENT: `00-${unsampled}-${callerSpan}-00` } })).code).toBe(0);
    expect((await laptop.invoke(['relay@desktop/main', secret], { env: { TRACEPARENT: `00-${traceId.replace('4b', '6d')}-${callerSpan}-01` } })).code).toBe(0);
    await waitFor('what came after it', () => told('invoke', laptop, receiver.ofTrace(traceId.replace('4b', '6d'))).length === 1);
    expect(receiver.ofTrace(unsampled)).toEqual([]);
  });

  test('with a malformed or hostile context is one that begins here, and no error', async () => {
    for (const env of [{ TRACEPARENT: 'nonsense' }, { TRACEPARENT: `00-${traceId}-${'0'.repeat(16)}-01` }, { ...caller, TRACESTATE: 'x'.repeat(100_000) }]) {
      const { code, stderr } = await laptop.invoke(['leaf@laptop/main', 'go'], { env });
      expect([code, stderr]).toEqual([0, '']);
    }
  });
});

test.each([
  ['nobody listens there', undefined],
  ['it never answers', 'silence'],
  ['it answers garbage', 'garbage'],
])('calls complete, and one line says so, while traces can not be told: %s', async (_what, how) => {
  await using receiver = await OtlpReceiver.start(how === 'silence' ? () => undefined : (response) => void response.socket?.end('\0\0\0\r\n\r\n'));
  await using cluster = await Cluster.create();
  const laptop = await cluster.node('laptop');
  configure(laptop, how === undefined ? 'http://127.0.0.1:9' : receiver.url);
  await laptop.up();
  await laptop.addAgent('echo', ['/bin/cat']);
  for (let count = 0; count < 20; count += 1) expect((await laptop.invoke(['echo@laptop/main', 'x'])).code).toBe(0);
  if (how !== 'silence') {
    await waitFor('the line', () => laptop.log.includes('traces are not taken'), { timeoutMs: 20_000 });
    const { checks } = await laptop.json(['doctor']).catch(async () => (await laptop.beckon(['doctor', '--json'])).json);
    expect((checks as Json[]).find(({ id }) => id === 'traces')).toMatchObject({ ok: false, detail: expect.stringContaining('0 spans told, 0 dropped') });
  }
  for (let count = 0; count < 5; count += 1) expect((await laptop.invoke(['echo@laptop/main', 'x'])).code).toBe(0);
  // Silence is told when it has lasted for long: on a machine that is busy with others' work, perhaps before this is over.
  const told = laptop.log.split('traces are not taken').length - 1;
  expect(told).toSatisfy((lines: number) => lines === 1 || (how === 'silence' && lines === 0));
  expect(receiver.requests).toBeLessThan(10);
  expect((await laptop.down()).code).toBe(0);
});
