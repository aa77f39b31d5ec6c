/** The story in four parts. Each plays one job with real commands and checks what it says. */
import * as path from 'node:path';
import { root } from '../run.ts';
import type { Machine, Ran } from './machine.ts';
import { check, DemoFailure, heading, tell } from './narration.ts';
import type { Project } from './project.ts';

export interface Stage {
  readonly laptop: Machine;
  readonly desktop: Machine;
  readonly server: Machine;
  /** On the desktop. */
  readonly project: Project;
  /** Where the server has its own working copy of the project. */
  readonly copy: string;
  readonly ports: readonly [number, number, number];
}

interface Invitation {
  readonly token: string;
}
interface Named {
  readonly name: string;
  readonly state: string;
}
interface Agents {
  readonly agents: readonly { readonly address: string; readonly available: boolean }[];
}
interface FlightShow {
  readonly flight: { readonly state: string; readonly invocationId: string; readonly target: string; readonly output: string };
  readonly receipts: Readonly<Record<'accepted' | 'received' | 'started' | 'finished', { readonly at: string } | null>>;
}
interface Deliveries {
  readonly deliveries: readonly { readonly invocationId: string; readonly target: string; readonly status: string; readonly attempts: number }[];
}
interface Trace {
  readonly invocationId: string;
  readonly entries: readonly { readonly node: string; readonly hlc: string; readonly what: string }[];
  readonly gaps: readonly unknown[];
}

const fabric = '@fabric@desktop#feature-x';
const review = '@review@server#feature-x';

function agentProgram(name: string): string {
  return path.join(root, 'scripts', 'demo', 'agents', `${name}.ts`);
}

function join(machine: Machine, port: number, token: string): Promise<Ran> {
  const up = ['up', '--detach', '--name', machine.name, '--listen', `127.0.0.1:${port}`, '--join', '-'];
  return machine.run(up, { stdin: token, typed: `echo "$TOKEN" | beckon ${up.join(' ')}` });
}

export async function setUp({ laptop, desktop, server, project, copy, ports }: Stage): Promise<void> {
  heading('1. Set up three machines');
  await laptop.do(['up', '--detach', '--name', 'laptop', '--listen', `127.0.0.1:${ports[0]}`]);
  await laptop.do(['mesh', 'create', 'home']);
  tell('A token from the laptop lets one machine in, once.');
  const { token } = await laptop.ask<Invitation>('mesh', 'invite');
  check('the desktop is in', (await join(desktop, ports[1], token)).code === 0);
  const refused = await join(server, ports[2], token);
  check('the server is refused: that token was used', refused.code === 5, refused);
  const { token: another } = await laptop.ask<Invitation>('mesh', 'invite');
  check('with a token of its own it is in', (await join(server, ports[2], another)).code === 0);
  for (const machine of [laptop, desktop, server]) {
    await machine.until<{ members: readonly Named[] }>('all three are members and alive', ['mesh', 'members'], ({ members }) =>
      members.length === 3 && members.every(({ state }) => state === 'alive' || state === 'self'),
    );
  }
  await laptop.do(['mesh', 'members']);
  check('each of the three sees the two others alive', true);

  tell('The desktop has a git repository with a branch feature-x, the server a copy of it. Each gets an agent.');
  await desktop.do(['agent', 'add', 'fabric', '--', 'node', agentProgram('fabric')], { cwd: project.directory });
  project.cloneTo(copy);
  await server.do(['agent', 'add', 'review', '--', 'node', agentProgram('review')], { cwd: copy });
  await laptop.until<Agents>('the laptop knows both agents', ['agents'], ({ agents }) =>
    [fabric, review].every((address) => agents.some((each) => each.address === address && each.available)),
  );
  await laptop.do(['agents']);
  check('the laptop knows both agents by their full address', true);
}

export async function invokeWork({ laptop, project }: Stage): Promise<void> {
  heading('2. Put an agent on another machine to work');
  const before = project.head();
  let headAtFirstLine: string | undefined;
  const { code, stdout } = await laptop.run(['invoke', 'fabric@desktop/feature-x', 'add a farewell to greet.ts'], {
    onStdout: () => {
      headAtFirstLine ??= project.head();
    },
  });
  check('the call ended with 0', code === 0, code);
  check('its first line was here before the work was done', headAtFirstLine === before, headAtFirstLine);
  const after = project.head();
  project.show('desktop', 'log', '--oneline', '--stat', '-1');
  check('the desktop has a new commit on feature-x, the one that the agent spoke of', after !== before && stdout.includes(project.git('rev-parse', '--short', after)), stdout);
  check('it adds the function and its test', /function farewell\(/.test(project.git('show', `${after}:greet.ts`)) && /test\('farewell'/.test(project.git('show', `${after}:greet.test.ts`)));
  const { stdout: kept } = await laptop.do(['flight', 'output', 'last'], { quiet: true });
  check('the laptop has kept every byte of the answer', kept === stdout, kept);
}

export async function sleepAndWake({ laptop, server, project }: Stage): Promise<string> {
  heading('3. Call a machine that is down');
  await server.do(['down']);
  await laptop.until<{ peers: readonly Named[] }>('the laptop sees that the server is gone', ['peers'], ({ peers }) =>
    peers.some(({ name, state }) => name === 'server' && state !== 'alive'),
  );
  const call = laptop.start(['invoke', 'review@server/feature-x', 'review feature-x']);
  const { deliveries } = await laptop.until<Deliveries>('the call is held', ['deliveries', '--status', 'deferred'], (page) =>
    page.deliveries.some(({ target }) => target === review),
  );
  const invocationId = deliveries.find(({ target }) => target === review)?.invocationId ?? '';
  const { receipts } = await laptop.ask<FlightShow>('flight', 'show', invocationId);
  check('it is accepted and durable on the laptop, and not called received', receipts.accepted !== null && receipts.received === null, receipts);
  check('the caller is told and waits', call.stderr().trim() !== '' && call.stdout() === '', call.stderr());

  tell('The server comes back. It remembers how it was started.');
  await server.do(['up', '--detach']);
  const { code, stdout } = await call.ended;
  check('the waiting call ended with 0 by itself', code === 0, code);
  check('its answer speaks of the commit', stdout.includes(project.git('rev-parse', '--short', project.head())) && stdout.includes('+export function farewell('), stdout);
  return invocationId;
}

export async function whatHappened({ laptop }: Stage, invocationId: string): Promise<void> {
  heading('4. See what happened');
  await laptop.do(['trace', invocationId]);
  const { entries, gaps } = await laptop.ask<Trace>('trace', invocationId);
  const order = entries.map(({ node, what }) => `${node} ${what}`);
  check('both machines are in it, and nothing is missing', gaps.length === 0 && ['laptop', 'server'].every((name) => entries.some(({ node }) => node === name)), { order, gaps });
  check('it is in one order, first the laptop, held, sent; then the server, received, started, finished', follow(order, [
    'laptop invocation.accepted',
    'laptop delivery.deferred',
    'laptop delivery.sent',
    'server invocation.received',
    'server flight.started',
    'server flight.finished',
    'laptop flight.finished',
  ]), order);
  check('its clock never goes back', entries.every(({ hlc }, at) => at === 0 || (entries[at - 1]?.hlc ?? '') <= hlc), entries);

  await laptop.do(['deliveries']);
  const { deliveries } = await laptop.ask<Deliveries>('deliveries');
  check('both were received, at the first attempt', deliveries.length === 2 && deliveries.every(({ status, attempts }) => status === 'received' && attempts === 1), deliveries);
  await laptop.do(['flights']);
  const { flights } = await laptop.ask<{ flights: readonly FlightShow['flight'][] }>('flights');
  check('both completed', flights.length === 2 && flights.every(({ state }) => state === 'completed'), flights);
  if (invocationId !== flights[0]?.invocationId) throw new DemoFailure('the newest flight is not the one that was held');
}

/** Whether all of `wanted` are in `order`, one after the other. */
function follow(order: readonly string[], wanted: readonly string[]): boolean {
  let at = 0;
  for (const each of order) if (each === wanted[at]) at += 1;
  return at === wanted.length;
}
