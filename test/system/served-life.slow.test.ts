/** Processes that serve agents, and nodes that die under them. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { ServingMachines } from '../support/served-process.ts';
import { waitFor } from '../support/wait-for.ts';

const machines = ServingMachines.forAll();

test('kill -9 of the node while a process serves: the run goes on, nothing of it is lost or done twice', async () => {
  const gate = machines.cluster.path('gate-restart');
  const served = await machines.serve('counter', `
    effect(context.run + ' ' + task);
    let line = 0;
    for (; !isThere(${JSON.stringify(gate)}); line += 1) { yield line + '\\n'; await soon(); }
    yield 'end ' + line + '\\n';`);
  const call = machines.laptop.start(['invoke', 'counter', 'count', '--json'], { timeoutMs: 80_000 });
  for (let died = 0; died < 2; died += 1) {
    const seen = call.events.length;
    await waitFor('more of the answer', () => call.events.length > seen + 20, { timeoutMs: 20_000 });
    await machines.desktop.kill9();
    await machines.desktop.up();
  }
  const seen = call.events.length;
  await waitFor('more of the answer', () => call.events.length > seen + 20, { timeoutMs: 20_000 });
  machines.cluster.open('gate-restart');
  const { code, events } = await call.ended;
  expect([code, events.at(-1)?.['state']]).toEqual([0, 'completed']);
  const lines = events.filter((each) => each['type'] === 'output').map((each) => String(each['text'])).join('').split('\n').slice(0, -1);
  expect(lines.slice(0, -1)).toEqual(lines.slice(0, -1).map((_line, at) => String(at)));
  expect(lines.at(-1)).toBe(`end ${lines.length - 1}`);
  expect(served.effects).toEqual(['1 count']);
  expect((await machines.laptop.beckon(['invoke', 'counter', 'again'])).code).toBe(0);
});

test('a question that waits when its node is killed is one question, and its answer reaches the process', async () => {
  const served = await machines.serve('asker', `const answer = await context.ask({ reason: 'approval', prompt: 'may I ' + task + '?' }); effect(answer.kind); yield answer.kind;`);
  const call = machines.laptop.start(['invoke', 'asker', 'go', '--json'], { timeoutMs: 80_000 });
  const waiting = await call.event('waiting');
  await machines.desktop.kill9();
  const restarted = machines.desktop.up();
  await restarted;
  await machines.laptop.peer('desktop', 'alive');
  const { flightId } = await call.event('accepted');
  await machines.laptop.json(['flight', 'approve', String(flightId), String(waiting['request'])]);
  const { events } = await call.ended;
  expect(events.map((each) => each['type'])).toEqual(['accepted', 'received', 'started', 'waiting', 'resumed', 'output', 'finished']);
  expect(events.at(-1)).toMatchObject({ state: 'completed', output: 'approved' });
  expect(served.effects).toEqual(['approved']);
});

test('a cancel while the node is down reaches the process when it is back', async () => {
  const served = await machines.serve('patient', `effect('began'); await new Promise((resolve) => context.signal.addEventListener('abort', resolve)); effect('stopped');`);
  const call = machines.laptop.start(['invoke', 'patient', 'wait', '--json'], { timeoutMs: 80_000 });
  const { flightId } = await call.event('accepted');
  await call.event('started');
  await machines.desktop.kill9();
  const cancel = machines.laptop.start(['flight', 'cancel', String(flightId), '--json'], { timeoutMs: 60_000 });
  await machines.desktop.up();
  expect((await cancel.ended).json).toMatchObject({ state: 'cancelled', confirmed: true });
  expect((await call.ended).code).toBe(7);
  expect(served.effects).toEqual(['began', 'stopped']);
});

test('a program of a flight that uses the SDK calls as a child of it, without a word about that', async () => {
  await machines.serve('leaf', `yield 'leaf of ' + task;`);
  const path = machines.cluster.path('nested.mjs');
  const sdk = new URL('../../src/client/index.ts', import.meta.url).href;
  writeFileSync(path, `import { connect } from ${JSON.stringify(sdk)}; using beckon = await connect(); const { text, flightId } = await beckon.invoke('leaf', 'it').result(); console.log(flightId, text);`);
  const parent = await machines.desktop.addAgent('parent', [process.execPath, '--disable-warning=ExperimentalWarning', path]);
  const { last, events } = await machines.desktop.invoke([parent, '']);
  const [child = '', ...text] = String(last['output']).trim().split(' ');
  expect([last['state'], text.join(' ')]).toEqual(['completed', 'leaf of it']);
  const beckon = await connect({ socketPath: machines.desktop.socketPath });
  const { invocation } = await beckon.getFlight(child);
  beckon.close();
  expect(invocation).toMatchObject({ caller: `agent:${parent}`, ancestry: { parentId: events[0]?.['invocationId'], depth: 1 } });
});

test('TERM: the process ends what it runs, and then itself', async () => {
  const gate = machines.cluster.path('gate-term');
  const served = await machines.serve('drainer', `effect('began'); while (!isThere(${JSON.stringify(gate)})) await soon(); yield 'whole';`);
  const call = machines.laptop.start(['invoke', 'drainer', '--json', 'x'], { timeoutMs: 60_000 });
  await waitFor('it to begin', () => served.effects.length === 1);
  served.signal('SIGTERM');
  await machines.known('drainer', false);
  machines.cluster.open('gate-term');
  expect((await call.ended).events.at(-1)).toMatchObject({ state: 'completed', output: 'whole' });
  expect(await served.ended()).toBe(0);
  expect((await machines.laptop.beckon(['invoke', 'drainer', 'more'])).code).toBe(4);
});

test('down waits for what a process serves, and the process serves on when the node is up again', async () => {
  const gate = machines.cluster.path('gate-down');
  await machines.serve('stayer', `while (!isThere(${JSON.stringify(gate)})) await soon(); yield 'whole';`);
  const call = machines.laptop.start(['invoke', 'stayer', 'x', '--json'], { timeoutMs: 60_000 });
  await call.event('started');
  const down = machines.desktop.down();
  machines.cluster.open('gate-down');
  await down;
  expect((await call.ended).events.at(-1)).toMatchObject({ state: 'completed', output: 'whole' });
  await machines.desktop.up();
  await machines.known('stayer', true);
  expect((await machines.laptop.invoke(['stayer', 'again'])).last).toMatchObject({ state: 'completed' });
});
