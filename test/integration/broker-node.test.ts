/** Whole nodes in this process, each in a home of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as open, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLog } from '../../src/app/log.ts';
import { runNode } from '../../src/app/node.ts';
import type { NodeOptions, RunningNode } from '../../src/app/node.ts';
import { paths } from '../../src/app/paths.ts';
import { rememberedPath, writeRemembered } from '../../src/app/remembered.ts';
import { connect } from '../../src/client/connect.ts';
import type { AgentSpec, InvokeRequest, NodeClient } from '../../src/client/types.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import type { HostPort } from '../../src/domain/host-port.ts';
import { asNodeId } from '../../src/domain/ids.ts';
import type { FlightId } from '../../src/domain/ids.ts';
import { openStore } from '../../src/store/open.ts';
import { decodeToken, encodeToken } from '../../src/trust/token.ts';
import { requestOf, selectorOf, specOf } from '../support/asking.ts';
import { Story } from '../support/temp-store.ts';
import { waitFor } from '../support/wait-for.ts';

class Homes implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'bkn-'));
  readonly #nodes: RunningNode[] = [];

  paths(name: string): NodeOptions['paths'] {
    return paths({ BECKON_HOME: join(this.#directory, name) }, 'linux', '/nowhere', process.getuid?.() ?? 0);
  }

  async run(name: string, given: NodeOptions['given'] = {}, offline = false): Promise<RunningNode> {
    const env = { PATH: process.env['PATH'] };
    const node = await runNode({ paths: this.paths(name), env, given: offline ? given : { name, listen: ['127.0.0.1:0'], ...given }, offline, version: '0.0.0-test', pid: 1, log: silentLog });
    this.#nodes.push(node);
    return node;
  }

  async client(name: string): Promise<NodeClient & Disposable> {
    const client = await connect({ socketPath: this.paths(name).socketPath });
    return Object.assign(client, { [Symbol.dispose]: () => client.close() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes) await node.stop(true);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function agent(name: string, more: Partial<AgentSpec> = {}): AgentSpec {
  return specOf({ name, workspace: 'main', cwd: tmpdir(), ...more });
}

function request(address: string, text: string, key?: string): InvokeRequest {
  return requestOf(address, text, { selector: selectorOf(address, { cwd: tmpdir() }), ...(key === undefined ? {} : { key }) });
}

async function lastOf<Item>(items: AsyncIterable<Item>): Promise<Item | undefined> {
  let last: Item | undefined;
  for await (const item of items) last = item;
  return last;
}

/** Takes connections at once, and lets them through when `opened` resolves. */
async function doorTo(target: HostPort, opened: Promise<undefined>): Promise<{ readonly address: HostPort } & AsyncDisposable> {
  const taken: Socket[] = [];
  const server = createServer((outside) => {
    taken.push(outside);
    outside.on('error', () => undefined);
    void opened.then(() => {
      const inside = open(target);
      inside.on('error', () => undefined);
      outside.pipe(inside).pipe(outside);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: '127.0.0.1', port },
    [Symbol.asyncDispose]: () => {
      for (const socket of taken) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

test('a node that is asked to stop while it joins stops when it has joined', async () => {
  await using homes = new Homes();
  const issuer = await homes.run('laptop');
  using atIssuer = await homes.client('laptop');
  await atIssuer.createMesh({ new: false });
  const { token } = await atIssuer.createInvite({});
  const gate = Promise.withResolvers<undefined>();
  await using door = await doorTo(parseHostPort(issuer.ready.listen ?? ''), gate.promise);
  const joining = homes.run('desktop', { join: encodeToken({ ...decodeToken(token), addresses: [door.address] }) });
  using atJoiner = await waitFor('the control socket', () => homes.client('desktop'));
  await atJoiner.shutdown(false);
  gate.resolve(undefined);
  await (await joining).stopped;
});

test('G10: a node that only lends its store to a command takes no work', async () => {
  await using homes = new Homes();
  await homes.run('laptop', {}, true);
  using client = await homes.client('laptop');
  const { agent: added } = await client.addAgent(agent('fabric'));
  await expect(lastOf(client.invoke(request(added.registration.address, 'hello')))).rejects.toMatchObject({ code: 'unavailable' });
});

test('G4: a node that only lends its store to a command judges nothing that was running when the node died', async () => {
  await using homes = new Homes();
  const { dbFile } = homes.paths('laptop');
  const lending = await homes.run('laptop', {}, true);
  const { nodeId } = lending.ready;
  await lending.stop(false);
  const story = new Story();
  const ids: FlightId[] = [];
  const dying = await openStore({ path: dbFile, nodeId: asNodeId(nodeId), log: silentLog });
  for (const isStarted of [true, false]) {
    const invocation = story.invocation({ origin: asNodeId(nodeId), owner: asNodeId(nodeId) }, { limits: { holdMs: 10 ** 12, totalMs: 10 ** 12 } });
    const { flight } = await dying.write.accept(story.accept(invocation));
    if (isStarted) await dying.write.start({ stamp: story.stamp(), flightId: flight.id });
    ids.push(flight.id);
  }
  await dying.close();

  const again = await homes.run('laptop', {}, true);
  {
    using client = await homes.client('laptop');
    for (const id of ids) {
      await expect(client.cancelFlight(id, 0)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('no node is running here') });
      await expect(client.replyToFlight({ id, reply: { kind: 'approved' }, waitMs: 0 })).rejects.toMatchObject({ code: 'unavailable' });
    }
    expect((await client.getFlight(ids[0] ?? '')).flight).toMatchObject({ state: 'running' });
  }
  await again.stop(false);

  await homes.run('laptop');
  using client = await homes.client('laptop');
  expect((await client.getFlight(ids[0] ?? '')).flight).toMatchObject({ state: 'indeterminate' });
});

test('a token that is made while the node is down names addresses that others can reach', async () => {
  await using homes = new Homes();
  const { stateDir } = homes.paths('laptop');
  await (await homes.run('laptop')).stop(true);
  await writeRemembered(rememberedPath(stateDir), { listen: ['0.0.0.0:7423'] });
  await homes.run('laptop', {}, true);
  using client = await homes.client('laptop');
  await client.createMesh({ new: false });
  const { addresses } = await client.createInvite({});
  expect(addresses).not.toContain('0.0.0.0:7423');
  expect(addresses.length).toBeGreaterThan(0);
});

test('G11: the directory of several agents means none of them, and the answer names each', async () => {
  await using homes = new Homes();
  await homes.run('laptop');
  using client = await homes.client('laptop');
  for (const name of ['fabric', 'tests']) await client.addAgent(agent(name));
  const candidates = [{ address: '@fabric@laptop#main' }, { address: '@tests@laptop#main' }];
  await expect(lastOf(client.invoke(request('.', 'hello')))).rejects.toMatchObject({ code: 'ambiguous', candidates });
});

test('G2: a key stands for its first request, also when the agent is gone: the same follows it, another is a conflict', async () => {
  await using homes = new Homes();
  await homes.run('laptop');
  using client = await homes.client('laptop');
  await client.addAgent(agent('fabric'));
  const first = await lastOf(client.invoke(request('fabric', 'hello', 'k')));
  await client.removeAgent('fabric');
  expect(await lastOf(client.invoke(request('fabric', 'hello', 'k')))).toEqual(first);
  await expect(lastOf(client.invoke(request('fabric', 'good bye', 'k')))).rejects.toMatchObject({ code: 'conflict' });
  await expect(lastOf(client.invoke(request('@fabric@laptop#main', 'hello', 'k')))).rejects.toMatchObject({ code: 'conflict' });
});
