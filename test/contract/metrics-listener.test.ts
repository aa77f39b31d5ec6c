/** Where Prometheus asks, on a real socket, before a node that is known. */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { unavailable } from '../../src/domain/errors.ts';
import type { NodeVitals } from '../../src/domain/vitals.ts';
import { MetricsListener } from '../../src/metrics/listener.ts';
import { silentLog } from '../support/temp-store.ts';
import { vitals } from '../unit/metrics/vitals-sample.ts';

describe('the listener for metrics', () => {
  let nowMs = 0;
  let asked = 0;
  let over: string[] = [];
  let told: () => Promise<NodeVitals> = () => Promise.resolve(vitals);
  let listener: MetricsListener;
  let url = '';

  beforeEach(async () => {
    [nowMs, asked, told, over] = [0, 0, () => Promise.resolve(vitals), []];
    listener = new MetricsListener({ vitals: () => ((asked += 1), told()), clock: { monotonic: () => nowMs }, log: silentLog, onOverLimit: (limit) => over.push(limit), requestMs: 1_000 });
    url = `http://127.0.0.1:${(await listener.listen({ host: '127.0.0.1', port: 0 })).port}`;
  });
  afterEach(() => listener.close());

  test('tells the page at /metrics, and does nothing else there', async () => {
    const answer = await fetch(`${url}/metrics`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(await answer.text()).toMatch(/^beckon_build_info\{version="1\.2\.3",runtime="v24"\} 1$/m);
    expect((await fetch(`${url}/metrics`, { method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(405);
    expect((await fetch(`${url}/`)).status).toBe(404);
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  test('asks the node once for all who ask within half a second', async () => {
    await Promise.all([fetch(`${url}/metrics`), fetch(`${url}/metrics`), fetch(`${url}/metrics`)]);
    expect(asked).toBe(1);
    nowMs += 500;
    await fetch(`${url}/metrics`);
    expect(asked).toBe(2);
  });

  test('says so when the node can tell nothing, and tells again when it can', async () => {
    told = () => Promise.reject(unavailable('the store is closed'));
    expect((await fetch(`${url}/metrics`)).status).toBe(503);
    told = () => Promise.resolve(vitals);
    nowMs += 500;
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
  });

  test('holds eight connections of one address, and those whose request does not come no longer than it may take', async () => {
    const { hostname: host, port } = new URL(url);
    const silent = Array.from({ length: 30 }, () => connect({ host, port: Number(port), localAddress: '127.0.0.2' }).on('error', () => undefined).resume());
    onTestFinished(() => silent.forEach((each) => each.destroy()));
    for (const each of silent) each.write('GET /metrics HTTP/1.1\r\nx-slow: ');
    await expect.poll(() => over).toEqual(Array.from({ length: 22 }, () => 'metrics_connections'));
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    await expect.poll(() => silent.every(({ destroyed }) => destroyed), { timeout: 5_000 }).toBe(true);
  });

  test('cuts who is connected when it closes', async () => {
    await (await fetch(`${url}/metrics`)).text();
    await listener.close();
    await expect(fetch(`${url}/metrics`)).rejects.toThrow('fetch failed');
  });

  test('names a place that is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    await expect(listener.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'conflict', message: `127.0.0.1:${port} is taken by another program` });
  });
});
