import { expect, test } from 'vitest';
import { CertificateEnds } from '../../../src/app/certificate-ends.ts';
import type { Member } from '../../../src/domain/membership.ts';
import type { LiveSession } from '../../../src/mesh/node-mesh.ts';
import { parseLeaf } from '../../../src/trust/certificate.ts';
import { makeIssuer, makeLeaf, makeRoot } from '../../../src/trust/issue.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { silentLog } from '../../support/temp-store.ts';

const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 0, 1);
const [rootKey, issuerKey, nodeKey] = [generateNodeKey(), generateNodeKey(), generateNodeKey()];

async function watched() {
  const clock = new FakeClock(startMs);
  const root = await makeRoot(rootKey.privateKey, startMs);
  const issuer = await makeIssuer(issuerKey.privateKey, { certificate: root, key: rootKey.privateKey }, startMs);
  const certify = async (atMs: number): Promise<Member> => {
    const leaf = await makeLeaf({ publicKey: nodeKey.publicKey, name: 'desktop', owner: 'ada' }, { certificate: issuer, key: issuerKey.privateKey }, root, atMs);
    return { nodeId: nodeKey.nodeId, name: 'desktop', owner: 'ada', chain: { leaf, issuer }, notBeforeMs: parseLeaf(leaf).notBeforeMs, addresses: [] };
  };
  let member = await certify(startMs);
  const cut: string[] = [];
  const sessions: LiveSession[] = [{ peer: parseLeaf(member.chain.leaf), address: '10.0.0.1:1', path: 'inbound', cut: (why) => (cut.push(why), sessions.splice(0)) }];
  let told = 0;
  const ends = new CertificateEnds({
    store: { read: { member: () => member, members: () => [member] } as never },
    clock, log: silentLog, sessions: () => [...sessions], onEnded: () => (told += 1),
  });
  const pass = async (ms: number, stepMs = 10_000): Promise<void> => {
    for (let left = ms; left > 0; left -= stepMs) {
      await clock.advance(Math.min(left, stepMs));
      ends.look();
    }
  };
  return { clock, ends, cut, pass, certify, told: () => told, member: () => member, renew: async () => (member = await certify(clock.now())) };
}

test('a session ends with the certificate of its peer, to the look, and gossip with it', async () => {
  const t = await watched();
  await t.pass(90 * dayMs - 10_000, dayMs);
  expect([t.cut, t.told(), t.ends.hasEnded(t.member())]).toEqual([[], 0, false]);
  await t.pass(20_000);
  expect(t.cut).toEqual([expect.stringContaining('the certificate of desktop ended')]);
  expect([t.told(), t.ends.hasEnded(t.member())]).toEqual([1, true]);
});

test('of a peer that was renewed meanwhile it goes on', async () => {
  const t = await watched();
  await t.pass(70 * dayMs, dayMs);
  await t.renew();
  await t.pass(50 * dayMs, dayMs);
  expect([t.cut, t.told()]).toEqual([[], 0]);
  await t.pass(41 * dayMs, dayMs);
  expect(t.cut).toHaveLength(1);
});

test('a clock that jumps ahead and back ends nothing; one that stays there does after ten minutes', async () => {
  const t = await watched();
  t.clock.jump(3_650 * dayMs);
  await t.pass(5 * 60_000);
  expect(t.cut).toEqual([]);
  t.clock.jump(-3_650 * dayMs);
  await t.pass(60 * 60_000);
  expect(t.cut).toEqual([]);
  t.clock.jump(100 * dayMs);
  await t.pass(9 * 60_000);
  expect(t.cut).toEqual([]);
  await t.pass(2 * 60_000);
  expect(t.cut).toHaveLength(1);
});
