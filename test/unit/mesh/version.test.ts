import { expect, test } from 'vitest';
import { encodeHlc } from '../../../src/domain/hlc.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import { Hello } from '../../../src/gen/beckon/v1/mesh.ts';
import { decodeHello, encodeHello } from '../../../src/mesh/hello.ts';
import { ownFeatures, protocol, whoIsBehind } from '../../../src/mesh/version.ts';

test.each([
  ['the same', { major: 3, minor: 4 }, undefined],
  ['one minor older', { major: 3, minor: 3 }, undefined],
  ['one minor newer', { major: 3, minor: 5 }, undefined],
  ['two minors older', { major: 3, minor: 2 }, 'peer'],
  ['two minors newer', { major: 3, minor: 6 }, 'own'],
  ['a major older, however new its minor', { major: 2, minor: 9 }, 'peer'],
  ['a major newer, however old its minor', { major: 4, minor: 0 }, 'own'],
] as const)('%s: who has to be updated', (_what, peer, behind) => {
  expect(whoIsBehind({ major: 3, minor: 4 }, peer)).toBe(behind);
});

const hlc = encodeHlc({ ms: 1, counter: 1 });
const own = { epoch: 7, previousEpoch: 6, seenEpochs: () => [3], bootNonce: new Uint8Array(16), version: '1.2.3', addresses: () => ['a:1'], hlc: () => hlc };
const hello = encodeHello(own, 'k51peer' as NodeId, '00'.repeat(16), 5);
const reread = (changed: Partial<Hello>): Hello => Hello.decode(Hello.encode({ ...hello, ...changed }).finish());
const greeting = { peerName: 'desktop', ownName: 'laptop', ownVersion: '1.2.3' };

test('a hello tells what the node can do, and names that nobody here knows do no harm', () => {
  const { features } = decodeHello(reread({ features: [...ownFeatures, 'of.the-future', 'NOT ONE\u001b', 'x'.repeat(70)] }), greeting);
  expect([...features]).toEqual([...ownFeatures, 'of.the-future']);
  expect(decodeHello(reread({ features: Array.from({ length: 10_000 }, (_, index) => `f${index}`) }), greeting).features.size).toBe(256);
});

test('an older or newer node is refused by name, and whoever reads it knows which one to update', () => {
  const newer = { protocolMajor: protocol.major, protocolMinor: protocol.minor + 2, version: '9.0.0' };
  expect(() => decodeHello(reread(newer), greeting)).toThrow(
    expect.objectContaining({
      code: 'incompatible',
      message: `desktop runs Beckon 9.0.0 (protocol 1.${protocol.minor + 2}), laptop runs 1.2.3 (protocol 1.${protocol.minor})`,
      hint: 'update Beckon on laptop',
    }),
  );
  expect(() => decodeHello(reread({ protocolMajor: 0 }), greeting)).toThrow(expect.objectContaining({ hint: 'update Beckon on desktop' }));
});

test('a version that can not be talked to is told before anything else of its hello is looked at', () => {
  expect(() => decodeHello(reread({ protocolMajor: 2, bootNonce: Buffer.alloc(0), hlc: 'other', addresses: ['??'] }), greeting)).toThrow(
    expect.objectContaining({ code: 'incompatible' }),
  );
});
