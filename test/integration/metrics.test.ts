/** The listener for metrics of a whole node. */
import { createServer } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/cluster.ts';
import { LocalMesh } from '../support/local-mesh.ts';
import { waitFor } from '../support/wait-for.ts';

const config = (port: number): string => `metrics_listen = "127.0.0.1:${port}"\n`;
const page = (port: number, init: RequestInit = {}, path = '/metrics'): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`, init);
const value = async (port: number, series: string): Promise<number> => {
  const line = (await (await page(port)).text()).split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
};

describe('metrics', () => {
  test('are told nowhere unless they are asked for, and with a reload from then on, elsewhere, or no more', async () => {
    await using mesh = await LocalMesh.start(['laptop']);
    const { laptop } = mesh.nodes;
    const [first, second] = [await freePort(), await freePort()];
    await expect(page(first)).rejects.toThrow();
    await laptop.reload(config(first));
    await waitFor('metrics at the first place', async () => (await page(first)).ok);
    await laptop.reload(config(second));
    await waitFor('metrics at the second place', async () => (await page(second)).ok);
    await expect(page(first)).rejects.toThrow();
    await laptop.reload('metrics_listen = "off"\n');
    await waitFor('no metrics', () => page(second).then(() => false, () => true));
  });

  test('count what was accepted and refused, at both ends, and name no work', async () => {
    await using mesh = await LocalMesh.start(['laptop', 'desktop']);
    const { laptop, desktop } = mesh.nodes;
    const ports = { laptop: await freePort(), desktop: await freePort() };
    await laptop.reload(config(ports.laptop));
    await desktop.reload(config(ports.desktop));
    const address = await desktop.addAgent('echo', { argv: ['/bin/cat'] });
    await waitFor('the agent to be known', async () => (await laptop.client.listAgents({}, { limit: 9 })).items.length === 1);
    const { flight } = await laptop.invoke(address, 'a secret task');
    await laptop.becomes(flight.id, 'completed');
    await expect(laptop.invoke('@nobody@desktop#main')).rejects.toMatchObject({ code: 'not_found' });
    await waitFor('the counts', async () => (await value(ports.desktop, 'beckon_flight_transitions_total{state="completed"}')) === 1);
    const at = (port: number, ...series: string[]): Promise<number[]> => Promise.all(series.map((each) => value(port, each)));
    expect(await at(ports.laptop, 'beckon_accepts_total{outcome="accepted"}', 'beckon_accepts_total{outcome="not_found"}', 'beckon_accept_duration_seconds_count', 'beckon_delivery_transitions_total{state="sent"}', 'beckon_flights{state="completed"}', 'beckon_undelivered', 'beckon_links')).toEqual([1, 1, 1, 1, 1, 0, 1]);
    expect(await at(ports.desktop, 'beckon_accepts_total{outcome="accepted"}', 'beckon_forwards_received_total{outcome="received"}', 'beckon_flights{state="completed"}')).toEqual([0, 1, 1]);
    expect(await (await page(ports.laptop)).text()).not.toMatch(new RegExp(`secret task|${flight.id.slice(4)}`));
  });

  test('are read, and nothing else is done there', async () => {
    await using mesh = await LocalMesh.start(['laptop']);
    const port = await freePort();
    await mesh.nodes.laptop.reload(config(port));
    const answer = await waitFor('the page', () => page(port));
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect((await page(port, { method: 'POST', body: 'x'.repeat(100_000) })).status).toBe(405);
    expect((await page(port, {}, '/')).status).toBe(404);
    expect((await page(port, { method: 'HEAD' })).status).toBe(200);
  });

  test('at a place that another has keep no node from its work', async () => {
    const other = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    await using mesh = await LocalMesh.start(['laptop']);
    const { laptop } = mesh.nodes;
    await laptop.reload(config(port));
    const address = await laptop.addAgent('echo', { argv: ['/bin/cat'] });
    const { flight } = await laptop.invoke(address, 'hello');
    await laptop.becomes(flight.id, 'completed');
    const free = await freePort();
    await laptop.reload(config(free));
    await waitFor('metrics at another place', async () => (await page(free)).ok);
  });
});
