import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Renewal } from '../../../src/broker/renewal.ts';
import { Renewals } from '../../../src/broker/renewals.ts';
import type { CertificateWish } from '../../../src/broker/renaming.ts';
import { BrokerError, unavailable } from '../../../src/domain/errors.ts';
import type { MeshId, NodeId } from '../../../src/domain/ids.ts';
import type { Link, Mesh } from '../../../src/domain/mesh-port.ts';
import type { CertificateChain, PeerIdentity } from '../../../src/domain/trust.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { memoryDatabase, storeOver } from '../../support/memory-store.ts';
import { nodeIdFor, silentLog, utf8 } from '../../support/temp-store.ts';

const [me, issuerA, issuerB] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 0, 1);

/** The chain is its own identity here; certificates themselves are tested where they are made. */
const chainOf = (identity: Partial<PeerIdentity>): CertificateChain => ({ leaf: utf8(JSON.stringify({ meshId: 'mesh1', serial: '1', publicKey: {}, owner: 'ada', ...identity })), issuer: utf8('issuer') });
const readLeaf = (leaf: Uint8Array): PeerIdentity => JSON.parse(Buffer.from(leaf).toString()) as PeerIdentity;
const made = (nodeId: NodeId, name: string, atMs: number): Partial<PeerIdentity> => ({ nodeId, name, notBeforeMs: atMs - dayMs, notAfterMs: atMs + 90 * dayMs });

type Answer = () => CertificateChain;

async function laptop({ certify = () => Promise.resolve(undefined) }: { certify?: (wish: CertificateWish) => Promise<CertificateChain | undefined> } = {}) {
  const clock = new FakeClock(startMs);
  const store = storeOver(memoryDatabase(), me);
  const chronicler = new Chronicler(clock);
  const membership = { meshId: 'mesh1' as MeshId, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: utf8('root'), chain: chainOf(made(me, 'laptop', startMs)), isIssuer: false };
  const issuers = ([[issuerA, 'anvil'], [issuerB, 'bench']] as const).map(([nodeId, name]) => ({ nodeId, name, owner: 'ada', chain: chainOf(made(nodeId, name, startMs)), notBeforeMs: startMs - dayMs, addresses: [] }));
  await store.write.saveMembership({ stamp: chronicler.stamp(), membership, members: issuers, what: 'mesh.joined' });
  for (const { nodeId } of issuers) await store.write.saveIssuer({ nodeId, certificate: utf8('cert') });
  const linked = new Map<NodeId, Answer>();
  const asked: string[] = [];
  const entrance: { answer: Answer; waits?: (signal: AbortSignal) => Promise<CertificateChain> } = { answer: () => { throw unavailable('nobody is there'); } };
  const link = (nodeId: NodeId): Link | undefined => {
    const answer = linked.get(nodeId);
    if (answer === undefined) return undefined;
    return { ask: () => Promise.resolve().then(() => (asked.push(nodeId), { type: 'renew', chain: answer() })) } as unknown as Link;
  };
  const taken: CertificateChain[] = [];
  const renewal = new Renewal({
    ...{ store, clock, log: silentLog, random: () => 0.5, readLeaf, certify, isForsaken: () => false, isDisowned: () => false },
    self: { nodeId: me, name: () => 'laptop', owner: () => 'ada' } as never,
    mesh: () => ({ link, peers: () => [], dialNow: (nodeId: NodeId) => Promise.resolve(link(nodeId)) }) as unknown as Mesh,
    verify: ({ leaf }) => readLeaf(leaf),
    renewAtEntrance: (_chain, signal) => Promise.resolve().then(() => (asked.push('entrance'), entrance.waits?.(signal) ?? entrance.answer())),
    take: async (chain) => {
      taken.push(chain);
      await store.write.replaceOwnChain({ stamp: chronicler.stamp(), name: 'laptop', chain });
    },
  });
  const look = async (): Promise<void> => {
    renewal.look();
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  };
  /** As the node's chores do. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 10 * 60_000) {
      await clock.advance(Math.min(left, 10 * 60_000));
      await look();
    }
  };
  const fresh = (): CertificateChain => chainOf(made(me, 'laptop', clock.now()));
  return { clock, renewal, linked, asked, taken, entrance, look, pass, fresh };
}

test('nothing is asked before two thirds of its life; then an issuer is, once, and what it gives is taken', async () => {
  const t = await laptop();
  t.linked.set(issuerA, t.fresh);
  await t.clock.advance(59 * dayMs);
  await t.look();
  expect(t.asked).toEqual([]);
  await t.clock.advance(4 * dayMs);
  await t.look();
  expect(t.asked).toEqual([issuerA]);
  expect(t.taken).toHaveLength(1);
  await t.pass(dayMs);
  expect(t.asked).toHaveLength(1);
});

test('while no issuer is there it is tried again, and when one comes back after weeks it is asked within seconds', async () => {
  const t = await laptop();
  await t.clock.advance(63 * dayMs);
  await t.pass(dayMs);
  expect(t.renewal.last?.why).toMatch(/anvil.*bench|bench.*anvil/);
  t.linked.set(issuerB, t.fresh);
  t.renewal.linkUp();
  await t.clock.advance(2_000);
  await t.look();
  expect(t.taken).toHaveLength(1);
  expect(t.renewal.last).toBeUndefined();
});

test('an issuer that refuses, or answers with what is worth nothing, keeps no other from being asked', async () => {
  const t = await laptop();
  t.linked.set(issuerA, () => { throw new BrokerError('unavailable', 'its disk is full'); });
  t.linked.set(issuerB, () => chainOf(made(me, 'laptop', startMs)));
  await t.clock.advance(63 * dayMs);
  await t.look();
  expect(t.asked.toSorted()).toEqual([issuerA, issuerB].toSorted());
  expect(t.taken).toEqual([]);
  expect(t.renewal.last?.why).toMatch(/its disk is full/);
  expect(t.renewal.last?.why).toMatch(/ends no later/);
});

test('with a certificate that has ended no session is tried, but the entrance of an issuer, until it answers', async () => {
  const t = await laptop();
  t.linked.set(issuerA, t.fresh);
  await t.clock.advance(91 * dayMs);
  await t.look();
  expect(t.asked).toEqual(['entrance']);
  t.entrance.answer = t.fresh;
  await t.pass(20 * 60_000);
  expect(t.taken).toHaveLength(1);
  expect(new Set(t.asked)).toEqual(new Set(['entrance']));
});

test('a wall clock that jumps past its end is seen at once, and so is one that is set back', async () => {
  const t = await laptop();
  t.clock.jump(100 * dayMs);
  await t.look();
  t.clock.jump(-100 * dayMs);
  await t.pass(60 * 60_000);
  expect(t.asked).toEqual(['entrance']);
});

test('an issuer renews itself, and one whose own word does not hold any more asks another', async () => {
  const wishes: CertificateWish[] = [];
  let works = true;
  const t = await laptop({
    certify: (wish) => {
      wishes.push(wish);
      return works ? Promise.resolve(t.fresh()) : Promise.reject(new BrokerError('unauthenticated', "the issuer's certificate expired"));
    },
  });
  t.linked.set(issuerB, t.fresh);
  await t.clock.advance(63 * dayMs);
  await t.look();
  expect([t.taken.length, t.asked]).toEqual([1, []]);
  expect(wishes[0]).toMatchObject({ name: 'laptop', owner: 'ada', laterThanMs: startMs - dayMs, namedSinceMs: startMs - dayMs });
  works = false;
  await t.clock.advance(63 * dayMs);
  await t.look();
  expect([t.taken.length, t.asked]).toEqual([2, [issuerB]]);
});

test('a node that stops waits for no issuer that does not answer', async () => {
  const t = await laptop();
  let gaveUp = false;
  t.entrance.waits = (signal) =>
    new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => {
        gaveUp = true;
        reject(unavailable('it was given up'));
      }),
    );
  await t.clock.advance(91 * dayMs);
  t.renewal.look();
  await nextTurn();
  await nextTurn();
  await t.renewal.stop();
  expect(gaveUp).toBe(true);
  await t.pass(60 * 60_000);
  expect(t.asked).toEqual(['entrance']);
});

/** An issuer, and what it made. */
async function issuer() {
  const clock = new FakeClock(startMs);
  const store = storeOver(memoryDatabase(), issuerA);
  const chronicler = new Chronicler(clock);
  const told: string[] = [];
  let signed = 0;
  const recognise = ({ leaf }: CertificateChain): PeerIdentity => {
    if (readLeaf(leaf).certifiedBy === 'withdrawn') throw new BrokerError('unauthenticated', 'it counts no more');
    return readLeaf(leaf);
  };
  const renewals = new Renewals({
    ...{ store, chronicler, clock, log: silentLog, recognise, verify: recognise, isForsaken: (by) => by === 'fallen', isFallen: (by) => by === 'fallen' },
    self: { nodeId: issuerA, name: () => 'anvil' } as never,
    certify: ({ name, owner, namedSinceMs }) => {
      signed += 1;
      return Promise.resolve(chainOf({ ...made(me, name, clock.now()), owner, ...(namedSinceMs === undefined ? {} : { namedSinceMs }) }));
    },
    announce: (members) => told.push(...members.map(({ nodeId }) => nodeId)),
  });
  const memberOf = (identity: Partial<PeerIdentity>) => ({ nodeId: me, name: 'laptop', owner: 'ada', chain: chainOf(identity), notBeforeMs: identity.notBeforeMs ?? 0, addresses: ['10.0.0.1:1'] });
  const save = (identity: Partial<PeerIdentity>) => store.write.saveMembers({ stamp: chronicler.stamp(), members: [memberOf(identity)] });
  return { clock, store, renewals, told, save, chronicler, signed: () => signed, old: made(me, 'laptop', startMs) };
}

test('what is due is signed for the same name, person and key, stored, and told; asked again it is the same', async () => {
  const t = await issuer();
  await t.save(t.old);
  await t.clock.advance(61 * dayMs);
  const chain = await t.renewals.renew(chainOf(t.old), t.clock.now());
  expect(readLeaf(chain.leaf)).toMatchObject({ nodeId: me, name: 'laptop', owner: 'ada', notAfterMs: startMs + 151 * dayMs, namedSinceMs: startMs - dayMs });
  expect(t.store.read.member(me)).toMatchObject({ name: 'laptop', addresses: ['10.0.0.1:1'], namedSinceMs: startMs - dayMs });
  expect(t.told).toEqual([me]);
  // The answer got lost.
  expect(await t.renewals.renew(chainOf(t.old), t.clock.now())).toEqual(t.store.read.member(me)?.chain);
  expect(t.signed()).toBe(1);
});

test('of two that ask at once for one node both get the same', async () => {
  const t = await issuer();
  await t.save(t.old);
  await t.clock.advance(61 * dayMs);
  const [one, other] = await Promise.all([t.renewals.renew(chainOf(t.old), t.clock.now()), t.renewals.renew(chainOf(t.old), t.clock.now())]);
  expect([Buffer.from(one.leaf).equals(other.leaf), t.signed()]).toEqual([true, 1]);
});

test('a member that this issuer never heard of is renewed by what its certificate says', async () => {
  const t = await issuer();
  await t.clock.advance(100 * dayMs);
  expect(readLeaf((await t.renewals.renew(chainOf(t.old), t.clock.now())).leaf)).toMatchObject({ name: 'laptop' });
});

test('a name that it was given since is the one that it gets', async () => {
  const t = await issuer();
  await t.save({ ...made(me, 'studio', startMs + 5 * dayMs) });
  await t.clock.advance(70 * dayMs);
  expect(readLeaf((await t.renewals.renew(chainOf(t.old), t.clock.now())).leaf)).toMatchObject({ name: 'studio', namedSinceMs: startMs + 4 * dayMs });
});

test.each([
  ['one that needs none', 10, 0, 'conflict'],
  ['one that ended over 90 days ago', 181, 0, 'denied'],
  ['one whose clock is a day off', 61, dayMs, 'unavailable'],
])('%s gets none, and nothing is stored', async (_what, days, skewMs, code) => {
  const t = await issuer();
  await t.clock.advance(days * dayMs);
  await expect(t.renewals.renew(chainOf(t.old), t.clock.now() + skewMs)).rejects.toMatchObject({ code });
  expect([t.signed(), t.told, t.store.read.member(me)]).toEqual([0, [], undefined]);
});

test('one that was removed gets none, nor one that left', async () => {
  const t = await issuer();
  await t.save(t.old);
  await t.clock.advance(61 * dayMs);
  const departure = { nodeId: me, certifiedAtMs: startMs - dayMs, leftAtMs: t.clock.now() };
  await t.store.write.saveDepartures({ stamp: t.chronicler.stamp(), departures: [{ departure, record: { payload: utf8('d'), signature: utf8('s') } }] });
  await expect(t.renewals.renew(chainOf(t.old), t.clock.now())).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('left') });
  const revocation = { nodeId: me, name: 'laptop', by: 'ada on anvil', revokedAtMs: t.clock.now() };
  await t.store.write.saveRevocations({ stamp: t.chronicler.stamp(), revocations: [{ revocation, record: { payload: utf8('r'), signature: utf8('s') }, with: [] }] });
  await expect(t.renewals.renew(chainOf(t.old), t.clock.now())).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('removed') });
  expect(t.signed()).toBe(0);
});

test('who shows what the key of a removed issuer made, however late it is dated, is renewed as whom another issuer certified it', async () => {
  const t = await issuer();
  await t.save({ ...t.old, name: 'studio', notAfterMs: startMs + 90 * dayMs });
  await t.clock.advance(10 * dayMs);
  const shown = { ...made(me, 'laptop', t.clock.now()), certifiedBy: 'fallen' };
  expect(readLeaf((await t.renewals.renew(chainOf(shown), t.clock.now())).leaf)).toMatchObject({ name: 'studio', namedSinceMs: startMs - dayMs });
  expect(t.signed()).toBe(1);
});

test('who is known here by what counts no more is renewed by what it shows', async () => {
  const t = await issuer();
  await t.save({ ...t.old, name: 'studio', certifiedBy: 'withdrawn' });
  await t.clock.advance(70 * dayMs);
  const shown = { ...made(me, 'laptop', startMs + dayMs), certifiedBy: 'fallen' };
  expect(readLeaf((await t.renewals.renew(chainOf(shown), t.clock.now())).leaf)).toMatchObject({ name: 'laptop' });
});

test('who stays although its certificate does not count is renewed by what is known of it alone, and not where nothing is', async () => {
  const t = await issuer();
  const shown = { ...made(me, 'other', startMs), owner: 'mallory', certifiedBy: 'fallen' } as PeerIdentity;
  await expect(t.renewals.renewKept(shown, t.clock.now())).rejects.toMatchObject({ code: 'unavailable' });
  await t.save({ ...t.old, certifiedBy: 'fallen' });
  expect(readLeaf((await t.renewals.renewKept(shown, t.clock.now())).leaf)).toMatchObject({ name: 'laptop', owner: 'ada' });
});
