/** Processes that serve agents and do not come back: what is said of their work after 30 s. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import type { Json } from '../support/cli.ts';
import type { TestNode } from '../support/node-process.ts';
import { ServedProcess } from '../support/served-process.ts';
import { waitFor } from '../support/wait-for.ts';

let cluster: Cluster;
let laptop: TestNode;
let desktop: TestNode;
const processes: ServedProcess[] = [];
/** Until its gate is open a run goes on; what it did in the world is one line a run. */
const body = (gate: string): string => `effect(context.run + ' ' + task); yield 'before '; while (!isThere(${JSON.stringify(gate)})) await soon(); yield 'after';`;

beforeAll(async () => {
  ({ cluster, laptop, desktop } = await Cluster.meshed('laptop', 'desktop'));
});
afterAll(async () => {
  for (const each of processes) {
    each.signal('SIGKILL');
    await each.ended();
  }
  await cluster[Symbol.asyncDispose]();
});

async function serve(name: string, gate: string): Promise<ServedProcess> {
  const served = new ServedProcess({ node: desktop, name, body: body(gate) });
  processes.push(served);
  await served.serving();
  await waitFor('it to be known', async () => ((await laptop.json(['agents']))['agents'] as Json[]).some((each) => each['address'] === `@${name}@desktop#main` && each['available'] === true), { timeoutMs: 20_000 });
  return served;
}

test('kill -9 of the process that serves: indeterminate after 30 s, and never run again; the next process takes the next', async () => {
  const gate = cluster.path('gate-process');
  const served = await serve('lone', gate);
  const call = laptop.start(['invoke', 'lone', 'first', '--json'], { timeoutMs: 80_000 });
  await call.event('output');
  const diedMs = Date.now();
  served.signal('SIGKILL');
  await served.ended();
  const next = await serve('lone', gate);
  cluster.open('gate-process');
  expect((await laptop.invoke(['lone', 'second'])).last).toMatchObject({ state: 'completed', output: 'before after' });
  const { code, events } = await call.ended;
  expect(Date.now() - diedMs).toBeGreaterThan(29_000);
  expect([code, events.at(-1)]).toEqual([9, expect.objectContaining({ state: 'indeterminate', output: 'before ', error: expect.objectContaining({ message: expect.stringContaining('went away') }) })]);
  expect(next.effects).toEqual(['1 first', '1 second']);
});

test('kill -9 of the node and of the process: indeterminate after 30 s, or, where its caller allowed it, run again by the next process', async () => {
  const gate = cluster.path('gate-both');
  const served = await serve('both', gate);
  const once = laptop.start(['invoke', 'both', 'once', '--json'], { timeoutMs: 100_000 });
  const twice = laptop.start(['invoke', 'both', 'twice', '--rerunnable', '--json'], { timeoutMs: 100_000 });
  for (const call of [once, twice]) await call.event('output');
  await desktop.kill9();
  served.signal('SIGKILL');
  await served.ended();
  await desktop.up();
  cluster.open('gate-both');
  const next = await serve('both', gate);
  expect((await once.ended).events.at(-1)).toMatchObject({ state: 'indeterminate', error: { message: expect.stringContaining('no process came back') } });
  const { code, events } = await twice.ended;
  expect([code, events.at(-1)?.['state']]).toEqual([0, 'completed']);
  expect(events.filter((each) => ['started', 'requeued'].includes(String(each['type']))).map((each) => [each['type'], each['run']])).toEqual([['started', 1], ['requeued', 2], ['started', 2]]);
  expect(next.effects.toSorted()).toEqual(['1 once', '1 twice', '2 twice']);
});
