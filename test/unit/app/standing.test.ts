/** Who is a member after the issuer of its certificate was removed, with real certificates. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Standing } from '../../../src/app/standing.ts';
import type { StoredRevocation } from '../../../src/domain/revocation.ts';
import type { Member } from '../../../src/domain/membership.ts';
import type { Store } from '../../../src/domain/store-port.ts';
import { parseLeaf } from '../../../src/trust/certificate.ts';
import { createMesh, keepIssuerKey, openIssuer, wishIssuerKey } from '../../../src/trust/mesh-authority.ts';
import type { Issuer } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey, rawPublicKey } from '../../../src/trust/node-key.ts';
import { openRevocation, signRevocation, whoIs } from '../../../src/trust/revocation.ts';

const nowMs = Date.UTC(2026, 0, 15);
const dayMs = 86_400_000;
const [laptop, desktop, attic, stranger] = [generateNodeKey(), generateNodeKey(), generateNodeKey(), generateNodeKey()];
const directories: string[] = [];
let root: Uint8Array;
let remover: Issuer;
let removed: Issuer;
beforeAll(async () => {
  for (let count = 0; count < 2; count += 1) directories.push(await mkdtemp(join(tmpdir(), 'beckon-standing-')));
  const [first = '', second = ''] = directories;
  const mesh = await createMesh({ directory: first, nodeKey: laptop, nodeName: 'laptop', owner: 'ada', nowMs });
  const key = await wishIssuerKey(second, mesh.meshId);
  await keepIssuerKey(second, mesh.meshId, key);
  const own = await openIssuer(first, mesh.root, mesh.chain.issuer);
  const certificate = await own?.certifyIssuer(rawPublicKey(key), nowMs);
  const other = certificate && (await openIssuer(second, mesh.root, certificate));
  if (own === undefined || other === undefined) throw new Error('no issuers');
  [root, remover, removed] = [mesh.root, own, other];
});
afterAll(() => Promise.all(directories.map((each) => rm(each, { recursive: true, force: true }))));

const issue = async (issuer: Issuer, { key = attic, name = 'attic', owner = 'ada', atMs = nowMs + 20 * dayMs, since = undefined as number | undefined } = {}) =>
  parseLeaf((await issuer.issue({ publicKey: key.publicKey, name, owner, ...(since === undefined ? {} : { namedSinceMs: since }) }, atMs)).leaf);

/** The desktop was removed; the attic stays. @param keptAs left out as by an older version */
function standing(keptAs: readonly string[] | undefined, known?: Partial<Member>): Standing {
  const word = { nodeId: desktop.nodeId, name: 'desktop', by: 'ada on laptop', revokedAtMs: nowMs, fallen: { issuer: removed.certificate, kept: [attic.nodeId], ...(keptAs === undefined ? {} : { keptAs }) } };
  const record = signRevocation(remover, word);
  const { issuer: _, ...revocation } = openRevocation(record, root);
  const stored: StoredRevocation = { revocation, record };
  const read = { revocation: (nodeId: string) => (nodeId === desktop.nodeId ? stored : undefined), fallenIssuers: () => [stored], member: () => known, membership: () => undefined };
  return new Standing({ read } as unknown as Pick<Store, 'read'>);
}

test('of a removed issuer’s certificates those count that say what was known: of a node that stays, by the same owner and name', async () => {
  const first = await issue(removed);
  const now = standing([whoIs(first)]);
  expect(now.member(first)).toBe(first);
  // Renewed by it, out of the remover's sight: the same, since the same time.
  expect(now.refusal(await issue(removed, { atMs: nowMs + 60 * dayMs, since: first.notBeforeMs }))).toBeUndefined();
  for (const other of [{ owner: 'mallory' }, { name: 'laptop' }, { since: 0 }, { atMs: nowMs + 10 * dayMs }, { owner: 'mallory', atMs: nowMs + 10 * dayMs, since: first.notBeforeMs }]) {
    expect(now.refusal(await issue(removed, other))).toContain('removed from the mesh by ada on laptop, and was not known by that owner and name');
  }
  expect(now.refusal(await issue(removed, { key: stranger, name: 'stranger' }))).toContain('is not among those that stay');
  expect(now.refusal(await issue(removed, { key: stranger, name: 'attic', since: first.notBeforeMs }))).toContain('is not among those that stay');
  // Of another issuer it is no matter.
  expect(now.refusal(await issue(remover, { owner: 'bob', name: 'other' }))).toBeUndefined();
  expect([now.isFallen(first.certifiedBy), now.isFallen((await issue(remover)).certifiedBy)]).toEqual([true, false]);
});

test('where an older version removed it, naming those who stay by their ids alone, they stay as who they are known to be here', async () => {
  const first = await issue(removed);
  const known = standing(undefined, { name: 'attic', owner: 'ada' });
  expect(known.refusal(first)).toBeUndefined();
  for (const other of [{ owner: 'mallory' }, { name: 'laptop' }]) expect(known.refusal(await issue(removed, other))).toContain('was not known by that owner and name');
  expect(known.refusal(await issue(removed, { key: stranger }))).toContain('is not among those that stay');
  expect(standing(undefined).refusal(first)).toBeUndefined();
});

test('sessions by certificates that have ceased to count end, those of members that were removed elsewhere, with a word of why', async () => {
  const [first, forged, other] = [await issue(removed), await issue(removed, { owner: 'mallory' }), await issue(remover, { key: laptop, name: 'laptop' })];
  const cut: string[] = [];
  const sessions = [first, forged, other, await issue(removed, { key: stranger, name: 'stranger' })].map((peer, index) => ({ peer, cut: (why: string) => void cut.push(`${index} ${why}`) }));
  const members = [attic, laptop, stranger].map(({ nodeId }) => ({ nodeId, ...(nodeId === stranger.nodeId ? { removed: {} } : {}) })) as unknown as Member[];
  standing([whoIs(first)]).cutAmong(members, sessions);
  expect(cut).toEqual([expect.stringMatching(/^1 .*was not known by that owner and name/)]);
});

test('a removal that keeps nobody keeps nobody, and one that does not say who each is who stays is none', () => {
  const word = { nodeId: desktop.nodeId, name: 'desktop', by: 'ada', revokedAtMs: nowMs };
  const fallen = { issuer: removed.certificate, kept: [attic.nodeId, laptop.nodeId] };
  expect(openRevocation(signRevocation(remover, { ...word, fallen: { ...fallen, kept: [] } }), root).fallen).toEqual({ ...fallen, kept: [], keptAs: [] });
  for (const keptAs of [['ab'.repeat(32)], ['ab'.repeat(32), 'ab'], Array.from({ length: 2001 }, () => 'ab'.repeat(32))]) {
    expect(() => openRevocation(signRevocation(remover, { ...word, fallen: { ...fallen, keptAs } }), root)).toThrow('does not say who those are that it keeps');
  }
});
