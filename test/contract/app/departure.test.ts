/** A `left` is believed of the node itself and of nobody else. */
import { expect, test } from 'vitest';
import { createRecordSeal } from '../../../src/app/record-seal.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Leaving } from '../../../src/broker/leaving.ts';
import type { LeavingParts } from '../../../src/broker/leaving.ts';
import { Roster } from '../../../src/broker/roster.ts';
import type { RosterParts } from '../../../src/broker/roster.ts';
import { asMeshId } from '../../../src/domain/ids.ts';
import type { MeshId, NodeId } from '../../../src/domain/ids.ts';
import type { Link } from '../../../src/domain/mesh-port.ts';
import type { SignedRecord } from '../../../src/domain/registration.ts';
import type { Member } from '../../../src/domain/store-port.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import type { NodeKey } from '../../../src/trust/node-key.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { openTempStore, silentLog, utf8 } from '../../support/temp-store.ts';

const home = asMeshId('a'.repeat(26));
const [me, desktop, server] = [generateNodeKey(), generateNodeKey(), generateNodeKey()];

/** That `about` has left, signed by `by`. */
function word(about: NodeKey, by: NodeKey, { certifiedAtMs = 100, mesh = home }: { certifiedAtMs?: number; mesh?: MeshId } = {}): SignedRecord {
  return createRecordSeal(by, () => mesh).sealDeparture({ nodeId: about.nodeId, certifiedAtMs, leftAtMs: 7 });
}

async function someone() {
  const temp = await openTempStore(me.nodeId);
  const clock = new FakeClock();
  const chronicler = new Chronicler(clock);
  const member = (key: NodeKey, name: string): Member => ({ nodeId: key.nodeId, name, owner: 'ada', chain: { leaf: utf8(name), issuer: utf8('issuer') }, notBeforeMs: 100, addresses: ['10.0.0.2:7423'] });
  const membership = { meshId: home, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: utf8('root'), chain: { leaf: utf8('laptop'), issuer: utf8('issuer') }, isIssuer: true };
  await temp.store.write.saveMembership({ stamp: chronicler.stamp(), membership, members: [member(desktop, 'desktop'), member(server, 'server')], what: 'mesh.created' });
  const seal = createRecordSeal(me, () => home);
  const left: NodeId[] = [];
  const roster = new Roster({
    ...{ store: temp.store, chronicler, seal, clock, log: silentLog, mesh: () => ({ links: () => [], link: () => undefined }), onMembers: () => undefined, ownAddresses: () => [], issuerProof: () => undefined },
    self: { nodeId: me.nodeId, name: () => 'laptop', mesh: () => ({ id: home, name: 'home' }), certifiedAtMs: () => 1 },
    state: { memberChanged: () => undefined }, spread: { tell: () => undefined },
    verify: ({ leaf }: Member['chain']) => ({ publicKey: Buffer.from(leaf).toString() === 'desktop' ? desktop.publicKey : server.publicKey }),
    onLeft: (nodeId: NodeId) => (left.push(nodeId), Promise.resolve()),
  } as unknown as RosterParts);
  const leaving = new Leaving({ seal, roster, store: temp.store } as unknown as LeavingParts);
  const link = (key: NodeKey, name: string) => ({ peer: { nodeId: key.nodeId, name, publicKey: key.publicKey } }) as unknown as Link;
  const statesOf = () => Object.fromEntries(temp.store.read.members().map(({ name, left: gone }) => [name, gone !== undefined]));
  return Object.assign(temp, { roster, leaving, left, statesOf, fromDesktop: link(desktop, 'desktop'), fromServer: link(server, 'server') });
}

test('a node that says so itself has left', async () => {
  await using node = await someone();
  expect(await node.leaving.answer(node.fromDesktop, { type: 'leave', departure: word(desktop, desktop) })).toEqual({ type: 'leave' });
  expect(node.statesOf()).toEqual({ desktop: true, server: false });
  expect(node.left).toEqual([desktop.nodeId]);
});

test('nobody leaves for another, whether it signs in its own name or hands on what is not signed by the other', async () => {
  await using node = await someone();
  await expect(node.leaving.answer(node.fromServer, { type: 'leave', departure: word(desktop, server) })).rejects.toMatchObject({ code: 'denied' });
  await expect(node.leaving.answer(node.fromServer, { type: 'leave', departure: word(desktop, desktop) })).rejects.toMatchObject({ code: 'unauthenticated' });
  await node.roster.entries([word(desktop, server), word(desktop, me)].map((departure) => ({ departure })), server.nodeId);
  expect(node.statesOf()).toEqual({ desktop: false, server: false });
  expect(node.left).toEqual([]);
});

test('its signed word counts from whoever passes it on, once', async () => {
  await using node = await someone();
  const departures = [word(desktop, desktop)];
  await node.roster.entries(departures.map((departure) => ({ departure })), server.nodeId);
  await node.roster.entries(departures.map((departure) => ({ departure })), server.nodeId);
  expect(node.statesOf()).toEqual({ desktop: true, server: false });
  expect(node.left).toEqual([desktop.nodeId]);
});

test('a word of another mesh, or of a certificate before the one it has, changes nothing', async () => {
  await using node = await someone();
  const departures = [word(desktop, desktop, { mesh: asMeshId('b'.repeat(26)) }), word(server, server, { certifiedAtMs: 99 }), { payload: utf8('x'), signature: utf8('y') }];
  await node.roster.entries(departures.map((departure) => ({ departure })), server.nodeId);
  expect(node.statesOf()).toEqual({ desktop: false, server: false });
});
