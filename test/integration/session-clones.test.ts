/** Two processes with the key of one node: a restart, or two machines. */
import { describe, expect, test } from 'vitest';
import type { CloneSighting } from '../../src/domain/mesh-port.ts';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { Relay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';
import { TestNode } from './session-fixture.ts';

describe('of two machines with one key', () => {
  test.each([
    ['of the same epoch', 7],
    ['of a newer epoch', 9],
    ['of an older epoch', 5],
  ])('the second, %s, is refused while the first is alive, and both addresses are told', async (_which, epoch) => {
    await using authority = await testMesh();
    const identity = await authority.member('desktop');
    const sightings: CloneSighting[] = [];
    await using laptop = await new TestNode(await authority.member('laptop'), { onClone: (sighting) => void sightings.push(sighting) }).start();
    await using first = await new TestNode(identity, { epoch: 7, seeds: [laptop.address] }).start();
    const link = await laptop.linkTo(first);
    await using second = await new TestNode(identity, { epoch, seeds: [laptop.address] }).start();
    const told = await waitFor('the second to be told', () => second.logged.find(({ level }) => level === 'error'));
    const words = `two machines use the key of desktop at once: at ${first.address} (kept) and at ${second.address} (refused)`;
    expect(told.message).toBe(`laptop refuses this node: ${words}`);
    expect(laptop.mesh.link(identity.nodeId)).toBe(link);
    expect(link.isUp).toBe(true);
    expect(laptop.mesh.peers()[0]).toMatchObject({ state: 'alive', why: `connected; ${words}` });
    expect(second.mesh.links()).toHaveLength(0);
    const both = { name: 'desktop', kept: first.address, refused: second.address };
    expect(laptop.mesh.clones()).toMatchObject([both]);
    expect(sightings).toMatchObject([both]);
  });

  test('one that comes from another place each time is told once, and each time where it was last', async () => {
    await using authority = await testMesh();
    const identity = await authority.member('desktop');
    const sightings: CloneSighting[] = [];
    await using laptop = await new TestNode(await authority.member('laptop'), { onClone: (sighting) => void sightings.push(sighting) }).start();
    await using first = await new TestNode(identity, { seeds: [laptop.address] }).start();
    await laptop.linkTo(first);
    const places = new Set<string | undefined>();
    for (let times = 0; times < 3; times += 1) {
      await using copy = new TestNode(identity, { seeds: [laptop.address] });
      copy.isTelling = false;
      await copy.start();
      await waitFor('the copy to be told', () => copy.logged.some(({ level }) => level === 'error'));
      expect(laptop.mesh.clones()).toHaveLength(1);
      places.add(laptop.mesh.clones()[0]?.refused);
    }
    expect(places.size).toBe(3);
    expect(sightings).toHaveLength(1);
    expect(laptop.logged.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  test('the second goes on trying, slowly, which is logged once on either side, and is let in when the first is gone', async () => {
    await using authority = await testMesh();
    const identity = await authority.member('desktop');
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    await using first = await new TestNode(identity, { epoch: 7, seeds: [laptop.address] }).start();
    await laptop.linkTo(first);
    await using second = await new TestNode(identity, { epoch: 8, seeds: [laptop.address] }).start();
    const seen = (): CloneSighting | undefined => laptop.mesh.clones()[0];
    const { firstMs } = await waitFor('the second to be refused', seen);
    // The clock of these nodes runs ten times as fast: half a minute at most between two tries.
    await waitFor('another try', () => (seen()?.lastMs ?? 0) > firstMs, { timeoutMs: 8_000 });
    for (const node of [laptop, second]) expect(node.logged.filter(({ level }) => level === 'error')).toHaveLength(1);
    await first[Symbol.asyncDispose]();
    await waitFor('the second to be let in', () => laptop.mesh.link(identity.nodeId)?.epoch === 8, { timeoutMs: 8_000 });
    await second.linkTo(laptop);
  });
});

describe('a node that was started anew', () => {
  test('is taken at once when its old process was killed', async () => {
    await using authority = await testMesh();
    const identity = await authority.member('desktop');
    await using laptop = new TestNode(await authority.member('laptop'));
    laptop.isTelling = false;
    await laptop.start();
    const relay = await Relay.start(() => parseHostPort(laptop.address));
    await using older = new TestNode(identity, { epoch: 1, seeds: [relay.address] });
    older.isTelling = false;
    await older.start();
    await laptop.linkTo(older);
    // As the kernel closes the sockets of a process that was killed: no goodbye, and no way back.
    await relay[Symbol.asyncDispose]();
    const began = performance.now();
    await using newer = await new TestNode(identity, { epoch: 2, seeds: [laptop.address] }).start();
    await waitFor('the newer link', () => laptop.mesh.link(identity.nodeId)?.epoch === 2);
    expect(performance.now() - began).toBeLessThan(1_000);
    await newer.linkTo(laptop);
    expect(laptop.mesh.clones()).toEqual([]);
  });

  test('is taken 2 s later when its machine crashed and nobody closed the old connection, also with an older epoch', async () => {
    await using authority = await testMesh();
    const identity = await authority.member('desktop');
    await using laptop = new TestNode(await authority.member('laptop'));
    laptop.isTelling = false;
    await laptop.start();
    await using relay = await Relay.start(() => parseHostPort(laptop.address));
    await using older = await new TestNode(identity, { epoch: 7, seeds: [relay.address] }).start();
    await laptop.linkTo(older);
    relay.isBlackHole = true;
    older.mesh.setSeeds([]);
    await using newer = await new TestNode(identity, { epoch: 6, seeds: [laptop.address] }).start();
    await waitFor('the new link', () => laptop.mesh.link(identity.nodeId)?.epoch === 6);
    expect(laptop.mesh.clones()).toEqual([]);
    expect(laptop.logged.filter(({ level }) => level === 'error')).toEqual([]);
    await newer.linkTo(laptop);
  });
});
