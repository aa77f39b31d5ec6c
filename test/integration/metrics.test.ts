/** What two whole nodes tell of work between them. */
import { expect, test } from 'vitest';
import { freePort } from '../support/cluster.ts';
import { LocalMesh } from '../support/local-mesh.ts';
import { waitFor } from '../support/wait-for.ts';

const page = async (port: number): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();

async function value(port: number, series: string): Promise<number> {
  const line = (await page(port)).split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
}

test('metrics count what was accepted and refused, at both ends, from before they were asked for, and name no work', async () => {
  await using mesh = await LocalMesh.start(['laptop', 'desktop']);
  const { laptop, desktop } = mesh.nodes;
  const address = await desktop.addAgent('echo', { argv: ['/bin/cat'] });
  await waitFor('the agent to be known', async () => (await laptop.client.listAgents({}, { limit: 9 })).items.length === 1);
  const { flightId } = await laptop.invoke(address, 'a secret task');
  await laptop.becomes(flightId, 'completed');
  await expect(laptop.invoke('@nobody@desktop#main')).rejects.toMatchObject({ code: 'not_found' });
  const ports = { laptop: await freePort(), desktop: await freePort() };
  for (const node of [laptop, desktop]) {
    const port = ports[node.name as keyof typeof ports];
    await node.reload(`metrics_listen = "127.0.0.1:${port}"\n`);
    await waitFor('the page', () => page(port));
  }
  const at = (port: number, ...series: string[]): Promise<number[]> => Promise.all(series.map((each) => value(port, each)));
  expect(await at(ports.laptop, 'beckon_accepts_total{outcome="accepted"}', 'beckon_accepts_total{outcome="not_found"}', 'beckon_accept_duration_seconds_count', 'beckon_delivery_transitions_total{state="sent"}', 'beckon_flights{state="completed"}', 'beckon_undelivered', 'beckon_links')).toEqual([1, 1, 1, 1, 1, 0, 1]);
  expect(await at(ports.desktop, 'beckon_accepts_total{outcome="accepted"}', 'beckon_forwards_received_total{outcome="received"}', 'beckon_flight_transitions_total{state="completed"}')).toEqual([0, 1, 1]);
  expect(await page(ports.laptop)).not.toMatch(new RegExp(`secret task|${flightId.slice(4)}`));
});
