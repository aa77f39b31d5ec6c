/** Which members that are known count, by what is known of roots, issuers and removals now. */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { CountedMembers } from '../../../src/app/counted-members.ts';
import { Standing } from '../../../src/app/standing.ts';
import type { StoredRevocation } from '../../../src/domain/revocation.ts';
import type { Member, Membership, Store } from '../../../src/domain/store-port.ts';
import type { PeerIdentity } from '../../../src/domain/trust.ts';
import { authoritiesOf, encodeAuthorities, mergeAuthorities, signRetirement, signWithdrawal } from '../../../src/trust/authorities.ts';
import { parseLeaf } from '../../../src/trust/certificate.ts';
import { makeIssuer, makeLeaf, makeNextRoot, makeRoot } from '../../../src/trust/issue.ts';
import type { Authority } from '../../../src/trust/issue.ts';
import type { Issuer } from '../../../src/trust/mesh-authority.ts';
import { generateNodeKey } from '../../../src/trust/node-key.ts';
import { openRevocation, signRevocation } from '../../../src/trust/revocation.ts';

const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 0, 15);
const by = 'ada on laptop';
const newKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

/** What a node knows, and how often it judged. */
class Knowing {
  membership: Membership;
  fallen: StoredRevocation[] = [];
  members: Member[] = [];
  judged = 0;
  readonly counted: CountedMembers;

  constructor(rootDer: Uint8Array) {
    this.membership = { meshId: authoritiesOf(rootDer, undefined).meshId, meshName: 'home', name: 'laptop', owner: 'ada', rootDer, chain: { leaf: new Uint8Array(), issuer: new Uint8Array() }, isIssuer: true };
    const read = { membership: () => this.membership, fallenIssuers: () => this.fallen, revocation: () => undefined, member: (nodeId: string) => this.members.find((each) => each.nodeId === nodeId) };
    const store = { read } as unknown as Pick<Store, 'read'>;
    const standing = new Standing(store);
    this.counted = new CountedMembers(store, { refusal: (peer: PeerIdentity) => ((this.judged += 1), standing.refusal(peer)) });
  }

  hears(...parts: readonly Uint8Array[]): void {
    const { rootDer } = this.membership;
    for (const part of parts) this.membership = { ...this.membership, authorities: mergeAuthorities(rootDer, this.membership.authorities, part) ?? new Uint8Array() };
  }

  get roots() {
    return authoritiesOf(this.membership.rootDer, this.membership.authorities);
  }

  which(...members: readonly Member[]): string {
    return members.filter((each) => this.counted.counts(each)).map(({ name }) => name).join(' ');
  }
}

async function issuerOf(root: Authority): Promise<Authority> {
  const key = newKey();
  return { certificate: await makeIssuer(key, root, nowMs), key };
}

async function memberBy(issuer: Authority, name: string, know: Knowing, madeMs = nowMs): Promise<Member> {
  const { publicKey, nodeId } = generateNodeKey();
  const chain = { leaf: await makeLeaf({ publicKey, name, owner: 'ada' }, issuer, know.membership.rootDer, madeMs), issuer: issuer.certificate };
  return { nodeId, name, owner: 'ada', chain, notBeforeMs: parseLeaf(chain.leaf).notBeforeMs, addresses: [] };
}

async function begin(): Promise<{ first: Authority; know: Knowing; honest: Authority; stolen: Authority }> {
  const key = newKey();
  const first = { certificate: await makeRoot(key, nowMs), key };
  return { first, know: new Knowing(first.certificate), honest: await issuerOf(first), stolen: await issuerOf(first) };
}

test('where nothing was ever said against anybody all count, and nothing is judged', async () => {
  const { know, honest } = await begin();
  expect(know.which(await memberBy(honest, 'attic', know))).toBe('attic');
  expect(know.judged).toBe(0);
});

test('of an issuer whose key is in other hands those count that were known, and no others', async () => {
  const { first, know, honest, stolen } = await begin();
  const [attic, kept, stranger] = [await memberBy(honest, 'attic', know), await memberBy(stolen, 'kept', know), await memberBy(stolen, 'stranger', know)];
  const word = signWithdrawal(know.roots, { root: first.certificate, key: first.key }, { nodeId: attic.nodeId, name: 'desktop', issuer: stolen.certificate, kept: [kept.chain.leaf], isCompromised: true, by, atMs: nowMs });
  know.hears(encodeAuthorities({ words: [word] }));
  expect(know.which(attic, kept, stranger)).toBe('attic kept');
});

test('of an issuer that was removed those count that whoever removed it kept', async () => {
  const { first, know, honest, stolen } = await begin();
  const [attic, kept, stranger] = [await memberBy(honest, 'attic', know), await memberBy(stolen, 'kept', know), await memberBy(stolen, 'stranger', know)];
  expect(know.which(attic, kept, stranger)).toBe('attic kept stranger');
  const signer = { certificate: honest.certificate, roots: first.certificate, sign: (text: Uint8Array) => new Uint8Array(sign(null, text, honest.key)) } as unknown as Issuer;
  const record = signRevocation(signer, { nodeId: generateNodeKey().nodeId, name: 'desktop', by, revokedAtMs: nowMs, fallen: { issuer: stolen.certificate, kept: [kept.nodeId] } });
  know.fallen = [{ revocation: openRevocation(record, first.certificate), record }];
  expect(know.which(attic, kept, stranger)).toBe('attic kept');
});

test('when a root ends those count whose issuer another has certified, by whichever certificate of its own they are known, also when theirs has ended', async () => {
  const { first, know, honest, stolen } = await begin();
  const ended = await memberBy(honest, 'ended', know, nowMs - 89.5 * dayMs);
  const [attic, lost] = [await memberBy(honest, 'attic', know), await memberBy(stolen, 'lost', know)];
  const key = newKey();
  const { root, cross } = await makeNextRoot(key, first, nowMs);
  const honestBySecond = await makeIssuer(honest.key, { certificate: root, key }, nowMs);
  know.hears(encodeAuthorities({ roots: [{ root, cross }], issuers: [honestBySecond] }));
  expect(know.which(attic, lost, ended)).toBe('attic lost ended');
  const word = signRetirement(know.roots, { root, key }, { root: first.certificate, kept: [], issuers: [], by, atMs: nowMs });
  know.hears(encodeAuthorities({ words: [word] }));
  expect(know.which(attic, { ...attic, name: 'other', chain: { ...attic.chain, issuer: honestBySecond } }, lost, ended)).toBe('attic other ended');
});

test('each is judged once, and again when its certificate, or what is known of issuers, is another', async () => {
  const { first, know, honest, stolen } = await begin();
  const members = await Promise.all(Array.from({ length: 20 }, (_, index) => memberBy(index % 2 === 0 ? honest : stolen, `n${index}`, know)));
  const withdraw = (issuer: Authority): Uint8Array => encodeAuthorities({ words: [signWithdrawal(know.roots, { root: first.certificate, key: first.key }, { nodeId: generateNodeKey().nodeId, name: 'desktop', issuer: issuer.certificate, kept: [], isCompromised: true, by, atMs: nowMs })] });
  know.hears(withdraw(stolen));
  for (let round = 0; round < 50; round += 1) know.which(...members);
  expect(know.judged).toBe(20);
  // What the store read anew, and is the same.
  know.membership = { ...know.membership, name: 'studio', authorities: new Uint8Array(know.membership.authorities ?? []) };
  know.fallen = [];
  know.which(...members.map((each) => ({ ...each, chain: { leaf: new Uint8Array(each.chain.leaf), issuer: new Uint8Array(each.chain.issuer) } })));
  expect(know.judged).toBe(20);
  const [one] = members;
  if (one === undefined) throw new Error('there are twenty');
  const { chain } = await memberBy(stolen, one.name, know);
  expect([know.counted.counts(one), know.counted.counts({ ...one, chain }), know.judged]).toEqual([true, false, 21]);
  know.hears(withdraw(honest));
  expect([know.which(...members), know.judged]).toEqual(['', 41]);
});
