/** Three nodes, of which two can't simply dial each other. */
import { describe, expect, test } from 'vitest';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { freePort } from '../support/cluster.ts';
import { Relay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';
import { TestNode } from './session-fixture.ts';

/** The laptop knows a dead address of the desktop, the desktop none of the laptop; the server has links with both. */
async function scene() {
  const stack = new AsyncDisposableStack();
  const authority = stack.use(await testMesh());
  const server = stack.use(await new TestNode(await authority.member('server')).start());
  const laptop = stack.use(await new TestNode(await authority.member('laptop'), { seeds: [server.address] }).start());
  const desktop = stack.use(await new TestNode(await authority.member('desktop'), { seeds: [server.address] }).start());
  await Promise.all([laptop.linkTo(server), desktop.linkTo(server), server.linkTo(laptop), server.linkTo(desktop)]);
  const dead = `127.0.0.1:${await freePort()}`;
  const member = ({ identity: { nodeId, name } }: TestNode, ...addresses: string[]) => ({ identity: { nodeId, name }, addresses });
  const dispose = async (): Promise<void> => stack.disposeAsync();
  return { authority, server, laptop, desktop, dead, member, [Symbol.asyncDispose]: dispose };
}

describe('a node that can not be dialled', () => {
  test('is told by a common member to dial instead: one direction is enough', async () => {
    await using made = await scene();
    const { laptop, desktop, dead, member } = made;
    desktop.mesh.addMembers([member(laptop)]);
    laptop.mesh.addMembers([member(desktop, dead)]);
    const link = await laptop.linkTo(desktop);
    expect(link.peer.name).toBe('desktop');
    expect(laptop.mesh.peers().find(({ name }) => name === 'desktop')).toMatchObject({ state: 'alive', path: 'inbound', address: expect.stringContaining('127.0.0.1') });
  });

  test('is asked for at once when somebody waits for it', async () => {
    await using made = await scene();
    const { laptop, desktop, dead, member } = made;
    laptop.mesh.addMembers([member(desktop, dead)]);
    // The desktop does not know the laptop for a member yet, and so does not dial it.
    expect(await laptop.mesh.dialNow(desktop.identity.nodeId, 3_000)).toBeUndefined();
    desktop.mesh.addMembers([member(laptop)]);
    const link = await waitFor('a link', () => laptop.mesh.dialNow(desktop.identity.nodeId, 30_000));
    expect(link.peer.name).toBe('desktop');
  });

  test('nor can dial is unreachable, and the words name who reaches it', async () => {
    await using made = await scene();
    const { laptop, desktop, server, dead, member } = made;
    laptop.isTelling = false;
    laptop.mesh.addMembers([member(desktop, dead)]);
    await waitFor('the words', () => {
      const view = laptop.mesh.peers().find(({ name }) => name === 'desktop');
      return view?.why === `${dead} refuses the connection: no node listens there (ECONNREFUSED), but server reaches it`;
    });
    expect(laptop.stateOf(desktop)).toBe('unreachable');
    expect(server.stateOf(desktop)).toBe('alive');
  });

  test('and that is linked here is not dialled for whoever asks again and again', async () => {
    await using made = await scene();
    const { laptop, desktop, server, member } = made;
    desktop.mesh.addMembers([member(laptop)]);
    const link = await server.linkTo(laptop);
    const session = (await laptop.linkTo(server)) as typeof link & { introduce(nodeId: string): void };
    for (let each = 0; each < 200; each += 1) session.introduce(desktop.identity.nodeId);
    await desktop.linkTo(laptop);
    expect(desktop.downs).toEqual([]);
    expect(laptop.downs).toEqual([]);
  });
});

test('the addresses of a node are tried for it by a peer that it asks, each with its reason', async () => {
  await using authority = await testMesh();
  await using server = await new TestNode(await authority.member('server')).start();
  await using other = await new TestNode(await authority.member('other')).start();
  await using relay = await Relay.start(() => parseHostPort(other.address));
  await using laptop = new TestNode(await authority.member('laptop'), { seeds: [server.address] });
  const dead = `127.0.0.1:${await freePort()}`;
  laptop.alsoTold = [dead, relay.address];
  await laptop.start();
  const link = await laptop.linkTo(server);
  const { results } = await link.ask({ type: 'dial_back' }, 30_000);
  expect(results).toEqual([
    { address: laptop.address, reached: true },
    { address: dead, reached: false, why: expect.stringContaining('ECONNREFUSED') },
    { address: relay.address, reached: false, why: `another node answers at ${relay.address}: other` },
  ]);
  const both = await Promise.allSettled([link.ask({ type: 'dial_back' }, 30_000), link.ask({ type: 'dial_back' }, 30_000)]);
  expect(both.map(({ status }) => status)).toContain('rejected');
  expect(laptop.mesh.links()).toHaveLength(1);
});

test('a link that falls silent one way is replaced by a new one without anybody being unreachable', async () => {
  await using authority = await testMesh();
  await using desktop = await new TestNode(await authority.member('desktop')).start();
  await using relay = await Relay.start(() => parseHostPort(desktop.address));
  await using laptop = new TestNode(await authority.member('laptop'), { seeds: [relay.address] });
  laptop.isTelling = false;
  await laptop.start();
  const first = await laptop.linkTo(desktop);
  relay.isBlackHole = true;
  await laptop.becomes(desktop, 'suspect');
  // The relay swallows what comes on old connections; the desktop’s own address, told in its hello, is still good.
  await laptop.becomes(desktop, 'alive');
  const second = await laptop.linkTo(desktop);
  expect(second).not.toBe(first);
  const states = [...laptop.logged, ...desktop.logged].map(({ fields }) => fields['to']).filter((each) => each !== undefined);
  expect(states).not.toContain('unreachable');
});

test('one peer that comes back has all others that are away looked for at once, however long they were', async () => {
  await using authority = await testMesh();
  await using anchor = await new TestNode(await authority.member('anchor')).start();
  await using server = await new TestNode(await authority.member('server')).start();
  await using toServer = await Relay.start(() => parseHostPort(server.address));
  server.isTelling = false;
  toServer.isRefusing = true;
  // The longest waits there are: 15 s on a clock ten times as fast.
  await using laptop = await new TestNode(await authority.member('laptop'), { seeds: [anchor.address], random: () => 0.999 }).start();
  await laptop.linkTo(anchor);
  const desktop = await authority.member('desktop');
  laptop.mesh.addMembers([
    { identity: server.identity, addresses: [toServer.address] },
    { identity: desktop, addresses: [toServer.address.replace(/\d+$/, String(await freePort()))] },
  ]);
  await Promise.all([laptop.becomes(server, 'unreachable'), laptop.becomes({ identity: desktop }, 'unreachable')]);
  await waitFor('the backoff to be at its longest', () => toServer.accepted >= 7);
  toServer.isRefusing = false;
  await using back = await new TestNode(desktop, { seeds: [laptop.address] }).start();
  await back.linkTo(laptop);
  const linkedAt = performance.now();
  await laptop.becomes(server, 'alive');
  expect(performance.now() - linkedAt).toBeLessThan(1_000);
});
