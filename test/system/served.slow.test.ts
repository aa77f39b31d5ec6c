/** Processes that serve agents and do not come back: what is said of their work after 30 s. */
import { expect, test } from 'vitest';
import { ServingMachines } from '../support/served-process.ts';

const machines = ServingMachines.forAll();
/** Until its gate is open a run goes on; what it did in the world is one line a run. */
const serveUntil = (name: string, gate: string): ReturnType<ServingMachines['serve']> =>
  machines.serve(name, `effect(context.run + ' ' + task); yield 'before '; while (!isThere(${JSON.stringify(gate)})) await soon(); yield 'after';`);

test('kill -9 of the process that serves: indeterminate after 30 s, and never run again; the next process takes the next', async () => {
  const gate = machines.cluster.path('gate-process');
  const served = await serveUntil('lone', gate);
  const call = machines.laptop.start(['invoke', 'lone', 'first', '--json'], { timeoutMs: 80_000 });
  await call.event('output');
  const diedMs = Date.now();
  served.signal('SIGKILL');
  await served.ended();
  const next = await serveUntil('lone', gate);
  machines.cluster.open('gate-process');
  expect((await machines.laptop.invoke(['lone', 'second'])).last).toMatchObject({ state: 'completed', output: 'before after' });
  const { code, events } = await call.ended;
  expect(Date.now() - diedMs).toBeGreaterThan(29_000);
  expect([code, events.at(-1)]).toEqual([9, expect.objectContaining({ state: 'indeterminate', output: 'before ', error: expect.objectContaining({ message: expect.stringContaining('went away') }) })]);
  expect(next.effects).toEqual(['1 first', '1 second']);
});

test('kill -9 of the node and of the process: indeterminate after 30 s, or, where its caller allowed it, run again by the next process', async () => {
  const gate = machines.cluster.path('gate-both');
  const served = await serveUntil('both', gate);
  const once = machines.laptop.start(['invoke', 'both', 'once', '--json'], { timeoutMs: 100_000 });
  const twice = machines.laptop.start(['invoke', 'both', 'twice', '--rerunnable', '--json'], { timeoutMs: 100_000 });
  for (const call of [once, twice]) await call.event('output');
  await machines.desktop.kill9();
  served.signal('SIGKILL');
  await served.ended();
  await machines.desktop.up();
  machines.cluster.open('gate-both');
  const next = await serveUntil('both', gate);
  expect((await once.ended).events.at(-1)).toMatchObject({ state: 'indeterminate', error: { message: expect.stringContaining('no process came back') } });
  const { code, events } = await twice.ended;
  expect([code, events.at(-1)?.['state']]).toEqual([0, 'completed']);
  expect(events.filter((each) => ['started', 'requeued'].includes(String(each['type']))).map((each) => [each['type'], each['run']])).toEqual([['started', 1], ['requeued', 2], ['started', 2]]);
  expect(next.effects.toSorted()).toEqual(['1 once', '1 twice', '2 twice']);
});
