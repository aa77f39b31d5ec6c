/** Certificates as an earlier version may have stored them, with bytes behind them. */
import { expect, test } from 'vitest';
import { Chronicler } from '../../src/broker/chronicler.ts';
import { parseLeaf } from '../../src/trust/certificate.ts';
import { generateNodeKey } from '../../src/trust/node-key.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { openTempStore } from '../support/temp-store.ts';
import { testMesh } from './trust/mesh-fixture.ts';

const padded = (der: Uint8Array): Uint8Array => Buffer.concat([der, Buffer.alloc(10_000)]);

test('are read as what they are, and a later one takes their place', async () => {
  await using mesh = await testMesh();
  const chronicler = new Chronicler(new FakeClock());
  const { chain, meshId, root } = mesh.certificates;
  const own = parseLeaf(chain.leaf);
  await using temp = await openTempStore(own.nodeId);
  const { read, write } = temp.store;
  const stored = { leaf: padded(chain.leaf), issuer: padded(chain.issuer) };
  await write.saveMembership({ stamp: chronicler.stamp(), membership: { meshId, meshName: 'home', name: own.name, owner: own.owner, rootDer: padded(root), chain: stored, isIssuer: true, issuerDer: padded(chain.issuer) }, members: [], what: 'mesh.created' });
  const known = read.membership();
  expect([known?.rootDer, known?.issuerDer, known?.chain.leaf, known?.chain.issuer].map((each) => each?.length)).toEqual([root, chain.issuer, chain.leaf, chain.issuer].map((each) => each.length));

  const theirs = await mesh.issuer.issue({ publicKey: generateNodeKey().publicKey, name: 'desktop', owner: 'ann' }, Date.now());
  const { nodeId, name, owner, notBeforeMs } = parseLeaf(theirs.leaf);
  const member = { nodeId, name, owner, chain: theirs, notBeforeMs, addresses: [] };
  const save = (leaf: Uint8Array, atMs: number) => write.saveMembers({ stamp: chronicler.stamp(), act: undefined, members: [{ ...member, notBeforeMs: atMs, chain: { leaf, issuer: padded(theirs.issuer) } }] });
  expect(await save(padded(theirs.leaf), notBeforeMs)).toEqual([nodeId]);
  expect(read.member(nodeId)?.chain).toEqual({ leaf: Buffer.from(theirs.leaf), issuer: Buffer.from(theirs.issuer) });
  // Of the same second it is the same.
  expect(await save(theirs.leaf, notBeforeMs)).toEqual([]);
  expect(await save(theirs.leaf, notBeforeMs + 1000)).toEqual([nodeId]);
});
