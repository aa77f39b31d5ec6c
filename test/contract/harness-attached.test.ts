/** The harness `attached`, its agents served by the SDK over a real control socket. */
import { afterAll, beforeAll } from 'vitest';
import { BrokerError, connect } from '../../src/client/index.ts';
import type { Beckon, Handler } from '../../src/client/index.ts';
import type { Harness, Run } from '../../src/domain/harness-port.ts';
import type { Endpoint } from '../../src/domain/invocation.ts';
import { FakeNode } from '../support/fake-node.ts';
import { agentView } from '../support/fake-records.ts';
import { harnessContract } from './harness.ts';

const node = new FakeNode();
let beckon: Beckon;
const turns = new Map<string, number>();

const handlers: Readonly<Record<string, Handler>> = {
  echo: (task) => task,
  async *idle(task, { signal }) {
    yield `${task}\n`;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  },
  large: () => 'grüße → 🙂 '.repeat(200_000),
  env: (_task, { env }) => env['BECKON_FLIGHT_ID'],
  asks: async (_task, { ask }) => ((await ask({ reason: 'approval', prompt: 'may I?', choices: ['once', 'always'] })).kind === 'approved' ? 'yes' : 'no'),
  counts: (_task, { session, nameSession }) => {
    const name = session?.agentSession ?? `mine-${session?.id}`;
    const known = turns.get(name);
    if (session?.agentSession !== undefined && known === undefined) throw new BrokerError('not_found', `there is no session ${name}`, { hint: 'begin a new one' });
    nameSession(name);
    turns.set(name, (known ?? 0) + 1);
    return String(turns.get(name));
  },
  busy: async (_task, { progress }) => {
    await progress({ kind: 'thought', text: 'well' });
    await progress({ kind: 'plan', steps: [{ text: 'one', state: 'running' }] });
    await progress({ kind: 'tool', call: '1', title: 'ls', tool: 'shell', state: 'running' });
    await progress({ kind: 'tool', call: '1', title: 'ls', tool: 'shell', state: 'done' });
    await progress({ kind: 'usage', inputTokens: 1 });
    return 'done';
  },
};

beforeAll(async () => {
  node.broker.addAgent = (spec) => Promise.resolve({ agent: agentView(spec.name ?? '', spec), added: true });
  node.broker.getAgent = (address) => Promise.resolve(agentView(address.replace(/^@|#.*$/g, ''), { harness: 'attached', argv: [] } as never));
  await node.start();
  beckon = await connect({ socketPath: node.socketPath });
  for (const [name, handler] of Object.entries(handlers)) await beckon.serve(`${name}/main`, handler, { concurrency: 8 });
});
afterAll(async () => {
  beckon.close();
  await node.stop();
});

/** As a node does: what has ended is written down, and then forgotten. */
const harness: Harness = {
  name: node.served.name,
  keepsSessions: node.served.keepsSessions,
  check: (endpoint) => node.served.check(endpoint),
  start: (request, sink) => {
    let pieces = 0;
    const stored = (): void => run.stored?.((pieces += 1));
    const run: Run = node.served.start(request, {
      output: (stream, bytes) => sink.output(stream, bytes).then(stored),
      progress: (progress) => sink.progress(progress).then(stored),
      bindSession: (name) => sink.bindSession(name),
      ask: (ask) => sink.ask(ask),
    });
    void run.ended.then(() => run.settled?.());
    return run;
  },
};

const served = (name: string): Endpoint => agentView(name, { harness: 'attached', argv: [] } as never).endpoint as Endpoint;

harnessContract('attached', harness, {
  echo: served('echo'),
  lineThenIdle: served('idle'),
  large: served('large'),
  flightId: served('env'),
  missing: served('nobody'),
  asks: served('asks'),
  counts: served('counts'),
  busy: served('busy'),
});
