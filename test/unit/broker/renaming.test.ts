import { expect, test } from 'vitest';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { Renaming } from '../../../src/broker/renaming.ts';
import type { RenamingParts } from '../../../src/broker/renaming.ts';
import type { MeshId } from '../../../src/domain/ids.ts';
import type { CertificateChain, PeerIdentity } from '../../../src/domain/trust.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, openTempStore, silentLog, utf8 } from '../../support/temp-store.ts';

const me = nodeIdFor(1);

/** The chain is its own identity here: certificates are read and judged elsewhere. */
const chainOf = (identity: Partial<PeerIdentity>): CertificateChain => ({ leaf: utf8(JSON.stringify(identity)), issuer: utf8('issuer') });
const identityOf = ({ leaf }: CertificateChain): PeerIdentity => JSON.parse(Buffer.from(leaf).toString()) as PeerIdentity;

async function laptop(certify: RenamingParts['certify'] = () => Promise.resolve(undefined)) {
  const temp = await openTempStore(me);
  const clock = new FakeClock();
  const chronicler = new Chronicler(clock);
  const chain = chainOf({ nodeId: me, name: 'laptop', owner: 'ada', notBeforeMs: 100 });
  const membership = { meshId: 'mesh1' as MeshId, meshName: 'home', name: 'laptop', owner: 'ada', rootDer: utf8('root'), chain, isIssuer: false };
  await temp.store.write.saveMembership({ stamp: chronicler.stamp(), membership, members: [], what: 'mesh.created' });
  const names: string[] = [];
  const own = () => temp.store.read.membership();
  const renaming = new Renaming({
    ...{ store: temp.store, chronicler, clock, log: silentLog, certify, verify: identityOf, announce: () => undefined },
    mesh: () => ({ links: () => [], peers: () => [] }),
    self: { nodeId: me, name: () => own()?.name, owner: () => own()?.owner, certifiedAtMs: () => identityOf(own()?.chain ?? chain).notBeforeMs },
    onRenewed: () => Promise.resolve(),
    onRenamed: (name: string) => (names.push(name), Promise.resolve()),
  } as unknown as RenamingParts);
  const adopt = (identity: Partial<PeerIdentity>) => {
    const newer = chainOf({ nodeId: me, owner: 'ada', notAfterMs: 9e15, ...identity });
    return renaming.adopt(newer, identityOf(newer));
  };
  return Object.assign(temp, { renaming, names, adopt, clock, nameOf: () => own()?.name });
}

test('a newer certificate that others have of this node, an answer that was lost on the way, is taken', async () => {
  await using node = await laptop();
  await node.adopt({ name: 'studio', notBeforeMs: 200 });
  expect([node.nameOf(), node.names]).toEqual(['studio', ['studio']]);
});

test('an older one, the same again, or one for another owner is not', async () => {
  await using node = await laptop();
  await node.adopt({ name: 'attic', notBeforeMs: 99 });
  const { chain } = node.store.read.membership()!;
  await node.renaming.adopt(chain, identityOf(chain));
  await node.adopt({ name: 'attic', notBeforeMs: 200, owner: 'bob' });
  expect([node.nameOf(), node.names]).toEqual(['laptop', []]);
});

test('of newer ones it takes so many in an hour, whoever makes them', async () => {
  await using node = await laptop();
  for (let at = 1; at <= 25; at += 1) await node.adopt({ name: `n${at}`, notBeforeMs: 200 + at });
  expect([node.nameOf(), node.names.length]).toEqual(['n20', 20]);
  await node.clock.advance(3_600_000);
  await node.adopt({ name: 'studio', notBeforeMs: 300 });
  expect(node.nameOf()).toBe('studio');
});

test('one that has ended is not, however much newer', async () => {
  await using node = await laptop();
  await node.adopt({ name: 'studio', notBeforeMs: 200, notAfterMs: 300 });
  expect([node.nameOf(), node.names]).toEqual(['laptop', []]);
});

test('of two of one second, which two issuers can make, it takes the one that all members take', async () => {
  await using node = await laptop();
  for (const name of ['aaa', 'zzz', 'mmm']) await node.adopt({ notBeforeMs: 200, name });
  expect(node.nameOf()).toBe('zzz');
});

test.each([{ nodeId: nodeIdFor(2) }, { name: 'attic' }, { owner: 'bob' }])('an answer that certifies something else is refused: %o', async (other) => {
  await using node = await laptop(() => Promise.resolve(chainOf({ nodeId: me, name: 'studio', owner: 'ada', notBeforeMs: 200, ...other })));
  await expect(node.renaming.rename('studio')).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(node.nameOf()).toBe('laptop');
});

test('the certificate asked for is later than the one before', async () => {
  const asked: unknown[] = [];
  await using node = await laptop((wish) => (asked.push(wish), Promise.resolve(chainOf({ nodeId: me, name: wish.name, owner: wish.owner, notBeforeMs: wish.laterThanMs + 1 }))));
  expect(await node.renaming.rename('Studio')).toEqual({ name: 'studio', was: 'laptop' });
  expect(asked).toEqual([expect.objectContaining({ name: 'studio', owner: 'ada', laterThanMs: 100 })]);
});
