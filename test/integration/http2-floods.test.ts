/** A member that speaks HTTP/2 as no library does. It is cut, or costs nothing; the node goes on, and its memory does not grow. */
import { describe, expect, test } from 'vitest';
import { parseHostPort } from '../../src/domain/host-port.ts';
import { systemClock, testMesh } from '../contract/trust/mesh-fixture.ts';
import { endHeaders, endStream, frame, frameType, grpcCall, headers, RawPeer } from '../support/http2-frames.ts';
import { waitFor } from '../support/wait-for.ts';
import { fastClock, TestNode } from './session-fixture.ts';

const controlCall = headers(grpcCall('/beckon.v1.MeshService/Control'));
const many = (count: number, bytes: Uint8Array): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes));
const ping = frame(frameType.ping, 0, 0, Buffer.alloc(8));
const settings = frame(frameType.settings, 0, 0, Buffer.of(0, 3, 0, 0, 0, 100));

/** Sends until it is cut, 300 times at most. */
async function flood(peer: RawPeer, next: () => Uint8Array): Promise<void> {
  for (let round = 0; round < 300; round += 1) if (!(await peer.send(next()))) return;
}

function numbered(make: (stream: number) => readonly Buffer[]): () => Buffer {
  let stream = -1;
  return () => Buffer.concat(Array.from({ length: 200 }, () => make((stream += 2))).flat());
}

const cut: readonly (readonly [string, (peer: RawPeer) => Promise<void>])[] = [
  ['300,000 pings', (peer) => flood(peer, () => many(1000, ping))],
  ['300,000 settings', (peer) => flood(peer, () => many(1000, settings))],
  ['60,000 calls, each reset at once', (peer) => flood(peer, numbered((stream) => [frame(frameType.headers, endHeaders, stream, controlCall), frame(frameType.reset, 0, stream, Buffer.of(0, 0, 0, 8))]))],
  ['60,000 calls of methods that are none', (peer) => flood(peer, numbered((stream) => [frame(frameType.headers, endHeaders | endStream, stream, headers(grpcCall('/nobody/nothing')))]))],
  [
    'headers that go on in 200,000 frames',
    async (peer) => {
      await peer.send(frame(frameType.headers, 0, 1, controlCall));
      await flood(peer, () => many(700, frame(frameType.continuation, 0, 1, headers({ x: 'y'.repeat(1000) }))));
    },
  ],
  [
    '300,000 empty frames of data',
    async (peer) => {
      await peer.send(frame(frameType.headers, endHeaders, 1, controlCall));
      await flood(peer, () => many(1000, frame(frameType.data, 0, 1)));
    },
  ],
];

/** nghttp2 refuses the call alone. */
const refused: readonly (readonly [string, (peer: RawPeer) => Promise<void>])[] = [
  [
    'calls whose 8 KB of headers stand for 32 MB',
    async (peer) => {
      const large = Buffer.concat([Buffer.of(0x40), headers({ bomb: 'y'.repeat(4000) }).subarray(1)]);
      for (let stream = 1; stream < 100; stream += 2) await peer.send(frame(frameType.headers, endHeaders, stream, Buffer.concat([controlCall, stream === 1 ? large : Buffer.alloc(0), Buffer.alloc(8000, 0x80 | 62)])));
    },
  ],
];

describe('a member that sends', () => {
  test.each([...cut.map(([what, attack]) => [what, attack, true] as const), ...refused.map(([what, attack]) => [what, attack, false] as const)])('%s gets nowhere, and another is served meanwhile', async (_what, attack, isCut) => {
    await using mesh = await testMesh();
    await using node = await new TestNode(await mesh.member('desktop'), { clock: systemClock }).start();
    const peer = await RawPeer.open(parseHostPort(node.address), await mesh.member('evil'));
    const before = process.memoryUsage().rss;
    await attack(peer);
    if (isCut) await peer.closed;
    else await waitFor('the refusal', () => peer.count(frameType.reset) > 0);
    peer.socket.destroy();
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    await using laptop = await new TestNode(await mesh.member('laptop'), { clock: systemClock, seeds: [node.address] }).start();
    const link = await laptop.linkTo(node);
    await expect(link.ask({ type: 'ping' }, 3000)).resolves.toEqual({ type: 'ping' });
    expect(node.logged.filter(({ level }) => level === 'error')).toEqual([]);
    expect(node.logged.length).toBeLessThan(20);
  });

  test('pings that it has answered one by one is cut all the same, told once and counted', async () => {
    await using mesh = await testMesh();
    await using node = await new TestNode(await mesh.member('desktop'), { clock: systemClock }).start();
    const peer = await RawPeer.open(parseHostPort(node.address), await mesh.member('evil'));
    for (let sent = 0; sent < 2000 && peer.isOpen; sent += 20) {
      await peer.send(many(20, ping));
      await waitFor('the answers', () => !peer.isOpen || peer.count(frameType.ping) >= sent + 20);
    }
    await peer.closed;
    expect(peer.count(frameType.ping)).toBeLessThan(600);
    expect(node.overLimits).toEqual(['http2_frames']);
    expect(node.logged.filter(({ level }) => level !== 'debug')).toMatchObject([{ level: 'warn', message: 'a connection of a peer was cut', fields: { peer: 'evil' } }]);
  });
});

test('of one member so many connections are taken and no more; those that say nothing end', async () => {
  await using mesh = await testMesh();
  await using node = await new TestNode(await mesh.member('desktop'), { clock: fastClock(5) }).start();
  const evil = await mesh.member('evil');
  const peers = await Promise.all(Array.from({ length: 12 }, () => RawPeer.open(parseHostPort(node.address), evil)));
  await waitFor('four to be refused', () => node.overLimits.filter((limit) => limit === 'member_connections').length === 4);
  await Promise.all(peers.map(({ closed }) => closed));
  expect(node.overLimits.filter((limit) => limit === 'member_idle')).toHaveLength(8);
});

test('a stream that never says hello is ended', async () => {
  await using mesh = await testMesh();
  await using node = await new TestNode(await mesh.member('desktop'), { clock: fastClock(10) }).start();
  const peer = await RawPeer.open(parseHostPort(node.address), await mesh.member('evil'));
  await peer.send(frame(frameType.headers, endHeaders, 1, controlCall));
  await peer.closed;
  expect(node.overLimits).toEqual(['session_greeting']);
});

test('what says goodbye, then nonsense, and then is gone in the middle of a call does not stay', async () => {
  await using mesh = await testMesh();
  await using node = await new TestNode(await mesh.member('desktop'), { clock: fastClock(5) }).start();
  const evil = await mesh.member('evil');
  const watch = [frame(frameType.headers, endHeaders, 1, headers(grpcCall('/grpc.health.v1.Health/Watch'))), frame(frameType.data, endStream, 1, Buffer.alloc(5))];
  const asks = async (): Promise<RawPeer> => {
    const peer = await RawPeer.open(parseHostPort(node.address), evil);
    await peer.send(Buffer.concat(watch));
    await waitFor('the answer', () => peer.count(frameType.headers) > 0);
    return peer;
  };
  // As many as may ask at once.
  for (const peer of await Promise.all([asks(), asks(), asks(), asks()])) {
    await peer.send(Buffer.concat([frame(frameType.goaway, 0, 0, Buffer.alloc(8)), Buffer.alloc(9, 'a')]));
    await waitFor('the word that it is none', () => peer.count(frameType.goaway) > 1);
    peer.socket.destroy();
  }
  await waitFor('one that asks to be heard', async () => {
    const before = node.overLimits.length;
    const peer = await asks();
    peer.socket.destroy();
    return node.overLimits.length === before;
  });
});
