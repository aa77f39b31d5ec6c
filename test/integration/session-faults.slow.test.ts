import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { DataRequest, GoodbyeReason } from '../../src/gen/beckon/v1/mesh.ts';
import { testMesh } from '../contract/trust/mesh-fixture.ts';
import { Relay } from '../support/relay.ts';
import { waitFor } from '../support/wait-for.ts';
import { HandMade } from './hand-made.ts';
import { fastClock, newInvocationId, someHlc, TestNode } from './session-fixture.ts';

describe('two sessions with one peer', () => {
  test('both sides dial at once, and one session is left, the same for both', async () => {
    await using authority = await testMesh();
    const [one, two] = [await authority.member('one'), await authority.member('two')];
    await using a = await new TestNode(one).start();
    await using b = await new TestNode(two).start();
    a.mesh.setSeeds([b.address]);
    b.mesh.setSeeds([a.address]);
    await Promise.all([a.linkTo(b), b.linkTo(a)]);
    const lower = one.nodeId < two.nodeId ? a : b;
    const higher = lower === a ? b : a;
    await waitFor('both to be done', () => lower.ups.length - lower.downs.length === 1 && higher.ups.length - higher.downs.length === 1);
    const invocationId = newInvocationId();
    // What was sent on the session that went is lost, as on any link that goes down.
    await waitFor('a message on the session that stayed', () => {
      lower.mesh.link(higher.identity.nodeId)?.send({ type: 'cancel', invocationId, hlc: someHlc });
      return higher.messages.length > 0;
    });
    expect(a.mesh.links()).toHaveLength(1);
    expect(b.mesh.links()).toHaveLength(1);
    const paths = [lower, higher].map((node) => node.mesh.peers()[0]?.path);
    expect(new Set(paths)).toEqual(new Set(['inbound', 'outbound']));
  });
});

describe('a peer that falls silent', () => {
  test('is suspect, then unreachable, then alive within 5 s of being back, though its connection never closed', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using relay = await Relay.start(() => parseHostPort(desktop.address));
    // Its own address stays untold: there is no way around the relay.
    desktop.isTelling = false;
    await using laptop = new TestNode(await authority.member('laptop'), { seeds: [relay.address] });
    laptop.isTelling = false;
    await laptop.start();
    await laptop.linkTo(desktop);
    relay.isBlackHole = true;
    const startedAt = performance.now();
    await laptop.becomes(desktop, 'suspect');
    expect(laptop.mesh.link(desktop.identity.nodeId)?.isUp).toBe(true);
    await laptop.becomes(desktop, 'unreachable');
    // The clock of these nodes runs ten times as fast: 3 s are 30 s.
    expect(performance.now() - startedAt).toBeLessThan(3000);
    expect(laptop.downs.map(({ why }) => why)).toEqual([expect.stringMatching(/^nothing heard for \d+ s$/)]);
    await desktop.becomes(laptop, 'unreachable');
    relay.heal();
    const healedAt = performance.now();
    await laptop.becomes(desktop, 'alive');
    expect(performance.now() - healedAt).toBeLessThan(500 + 100);
    await desktop.becomes(laptop, 'alive');
  });

  test('comes back from suspect when it is heard again', async () => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    const identity = await authority.member('desktop');
    using peer = new HandMade(identity, laptop.address);
    peer.hello();
    await laptop.becomes({ identity }, 'alive');
    peer.nameData();
    await laptop.becomes({ identity }, 'suspect');
    peer.send({ $case: 'heartbeat', value: { number: 1, digest: Buffer.alloc(0), gossips: false, holds: false } });
    await laptop.becomes({ identity }, 'alive');
    expect(laptop.downs).toHaveLength(0);
  });

  test('is not suspected by a node that slept itself: it gets time to be heard, and the link stays', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    const steady = fastClock();
    let sleptMs = 0;
    const clock = { ...steady, now: () => steady.now() + sleptMs, monotonic: () => steady.monotonic() + sleptMs };
    await using laptop = await new TestNode(await authority.member('laptop'), { clock, seeds: [desktop.address] }).start();
    const link = await laptop.linkTo(desktop);
    sleptMs = 3_600_000;
    await waitFor('the sleep to be noticed', () => laptop.logged.some(({ message }) => message.includes('slept or stalled')));
    // Twice the silence that would end a link.
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect(link.isUp).toBe(true);
    expect(laptop.logged.map(({ fields }) => fields['to'])).not.toContain('suspect');
    expect(laptop.stateOf(desktop)).toBe('alive');
  });

  test('a connection that is cut is made again at once', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using relay = await Relay.start(() => parseHostPort(desktop.address));
    desktop.isTelling = false;
    await using laptop = new TestNode(await authority.member('laptop'), { seeds: [relay.address] });
    laptop.isTelling = false;
    await laptop.start();
    await laptop.linkTo(desktop);
    relay.cut();
    await waitFor('the link to be down', () => laptop.downs.length === 1);
    await waitFor('the link to be back', () => laptop.ups.length === 2, { timeoutMs: 1500 });
    expect(laptop.stateOf(desktop)).toBe('alive');
  });
});

describe('what a peer may not send', () => {
  const cases: [string, (peer: HandMade) => unknown, RegExp][] = [
    ['bytes that are no message', (peer) => [peer.hello(), peer.control.write(Buffer.from([0x0a, 0x05, 0xff]))], /can not be read/],
    ['a message before hello', (peer) => peer.send({ $case: 'heartbeat', value: { number: 1, digest: Buffer.alloc(0), gossips: false, holds: false } }), /before hello/],
    ['an id that is none', (peer) => [peer.hello(), peer.send({ $case: 'cancel', value: { invocationId: 'inv_1', hlc: someHlc } })], /invocation id/],
    ['a clock value that is none', (peer) => [peer.hello(), peer.send({ $case: 'cancel', value: { invocationId: newInvocationId(), hlc: 'x' } })], /hlc/],
    ['a second hello', (peer) => [peer.hello(), peer.hello()], /hello came twice/],
    ['a forward without an invocation', (peer) => [peer.hello(), peer.send({ $case: 'forward', value: { invocation: undefined, task: undefined, attempt: 1, hlc: someHlc } })], /invocation is missing/],
    ['a number beyond 2^53', (peer) => [peer.hello(), peer.control.write(Buffer.from('0a0e120c08ffffffffffffffff7f0000', 'hex'))], /can not be read/],
  ];
  test.each(cases)('%s ends that session with a goodbye, and nothing else', async (_what, misbehave, why) => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    await using friend = await new TestNode(await authority.member('friend'), { seeds: [laptop.address] }).start();
    const link = await friend.linkTo(laptop);
    using peer = new HandMade(await authority.member('desktop'), laptop.address);
    misbehave(peer);
    const { reason, detail } = await peer.goodbye();
    expect(reason).toBe(GoodbyeReason.PROTOCOL);
    expect(detail).toMatch(why);
    await waitFor('the stream to end', () => peer.isOver);
    const line = await waitFor('the log', () => laptop.logged.find(({ level }) => level === 'warn'));
    expect(line.fields).toMatchObject({ peer: 'desktop' });
    expect(String(line.fields['address'])).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(link.isUp).toBe(true);
    expect(laptop.messages).toEqual([]);
  });

  test('pieces of a task in the wrong order end that session with a goodbye', async () => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    using peer = new HandMade(await authority.member('desktop'), laptop.address);
    peer.hello();
    await waitFor('hello', () => peer.frames.length > 0);
    const data = peer.nameData();
    const value = { invocationId: newInvocationId(), offset: 7, content: Buffer.from('x') };
    data.write(Buffer.from(DataRequest.encode({ frames: [{ frame: { $case: 'taskPiece', value } }] }).finish()));
    expect((await peer.goodbye()).detail).toMatch(/starts at 7, not at 0/);
  });

  test('nobody reaches the data stream of another peer’s session', async () => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    using peer = new HandMade(await authority.member('desktop'), laptop.address);
    peer.hello();
    await waitFor('hello', () => peer.frames.length > 0);
    using thief = new HandMade(await authority.member('thief'), laptop.address);
    thief.hello({ sessionId: randomBytes(16) });
    await waitFor('hello', () => thief.frames.length > 0);
    let isOver = false;
    thief.nameData().on('end', () => (isOver = true)).resume();
    await waitFor('the stream to be refused', () => isOver);
    const data = peer.nameData();
    const value = { invocationId: newInvocationId(), receivedAtMs: 1, events: [] };
    data.write(Buffer.from(DataRequest.encode({ frames: [{ frame: { $case: 'flightEvents', value } }] }).finish()));
    await waitFor('the events', () => laptop.messages.length === 1);
    expect(laptop.senders.map(({ name }) => name)).toEqual(['desktop']);
  });

  test('a frame of a kind that only newer versions know is skipped', async () => {
    await using authority = await testMesh();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    using peer = new HandMade(await authority.member('desktop'), laptop.address);
    peer.hello();
    const frame = Buffer.from([0xca, 0x3e, 0x02, 0x08, 0x01]);
    peer.control.write(Buffer.concat([Buffer.from([0x0a, frame.length]), frame]));
    const invocationId = newInvocationId();
    peer.send({ $case: 'cancel', value: { invocationId, hlc: someHlc } });
    await waitFor('the message after it', () => laptop.messages.length === 1);
  });
});

describe('seeds', () => {
  test('one that is foreign, one that is silent, one that is closed and one that is this node stop nothing, and say why', async () => {
    await using authority = await testMesh();
    await using elsewhere = await testMesh();
    await using foreign = await new TestNode(await elsewhere.member('stranger')).start();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using silent = await Relay.start(() => parseHostPort(desktop.address));
    silent.isBlackHole = true;
    await using closing = await new TestNode(await authority.member('gone')).start();
    const closed = closing.address;
    await closing[Symbol.asyncDispose]();
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    laptop.mesh.setSeeds([foreign.address, silent.address, closed, laptop.address, desktop.address]);
    await laptop.linkTo(desktop);
    const why = (address: string): string | undefined => laptop.mesh.peers().find((peer) => peer.address === address && peer.nodeId === '' && peer.state === 'unreachable')?.why;
    await waitFor('all to have failed', () => [foreign.address, silent.address, closed].every((address) => why(address) !== undefined));
    expect(why(closed)).toContain('ECONNREFUSED');
    expect(why(silent.address)).toBe(`${silent.address} does not answer`);
    expect(why(foreign.address)).toMatch(/certificate/);
    expect(laptop.mesh.peers().map(({ address }) => address)).not.toContain(laptop.address);
    const tries = silent.accepted;
    await waitFor('more tries', () => silent.accepted >= tries + 2);
    expect(laptop.logged.filter(({ fields }) => fields['address'] === closed)).toHaveLength(1);
  });

  test('dialNow reaches a peer without waiting for the backoff, and gives up after its time', async () => {
    await using authority = await testMesh();
    await using desktop = await new TestNode(await authority.member('desktop')).start();
    await using relay = await Relay.start(() => parseHostPort(desktop.address));
    relay.isBlackHole = true;
    await using laptop = await new TestNode(await authority.member('laptop')).start();
    laptop.mesh.addMembers([{ identity: { nodeId: desktop.identity.nodeId, name: 'desktop' }, addresses: [relay.address] }]);
    expect(await laptop.mesh.dialNow(desktop.identity.nodeId, 1000)).toBeUndefined();
    await laptop.becomes(desktop, 'unreachable');
    relay.heal();
    const link = await waitFor('a link', () => laptop.mesh.dialNow(desktop.identity.nodeId, 3000));
    expect(link.peer.name).toBe('desktop');
  });
});
