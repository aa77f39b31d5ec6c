import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemDigest } from '../../../src/app/system-digest.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import type { RegistrySpread } from '../../../src/broker/registry-spread.ts';
import { RegistryState } from '../../../src/broker/registry-state.ts';
import { Roster } from '../../../src/broker/roster.ts';
import { BrokerError } from '../../../src/domain/errors.ts';
import { asMeshId } from '../../../src/domain/ids.ts';
import type { Link, Mesh } from '../../../src/domain/mesh-port.ts';
import type { GossipNews } from '../../../src/domain/gossip-port.ts';
import type { Roster as RosterMessage } from '../../../src/domain/messages.ts';
import type { Clock, RecordSeal } from '../../../src/domain/ports.ts';
import type { Member } from '../../../src/domain/store-port.ts';
import type { CertificateChain, PeerIdentity } from '../../../src/domain/trust.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { nodeIdFor, openTempStore, silentLog } from '../../support/temp-store.ts';
import type { TempStore } from '../../support/temp-store.ts';

const me = nodeIdFor(1);
const peer = nodeIdFor(2);
/** What verifying one chain takes here, ms. */
const costMs = 0.5;

let temp: TempStore;
let roster: Roster;
/** Chains that were verified, and when, ms of work done. */
let verified: string[];
let workedMs: number;
let learned: Member[];
beforeEach(async () => {
  temp = await openTempStore(me);
  [verified, workedMs, learned, told] = [[], 0, [], []];
  // Its time is the work that was done.
  const clock: Clock = { now: () => 1_700_000_000_000, monotonic: () => workedMs, setTimer: (_ms, fn) => (setImmediate(fn), () => undefined) };
  const self = { nodeId: me, epoch: 1, previousEpoch: 0, version: '1', name: () => 'laptop', owner: () => 'ada', certifiedAtMs: () => 0, namedSinceMs: () => 0, mesh: () => ({ id: asMeshId('m'), name: 'home' }) };
  const seal = { hash: (content: Uint8Array | string) => createHash('sha256').update(content).digest('hex') } as RecordSeal;
  const state = new RegistryState({ store: temp.store, self, seal, digest: systemDigest, revocations: undefined });
  roster = new Roster({
    store: temp.store,
    self: { ...self, mesh: () => undefined },
    chronicler: new Chronicler(new FakeClock()),
    mesh: () => ({ links: () => [link], link: () => undefined }) as unknown as Mesh,
    authorities: () => ({ linkUp: () => undefined, heard: () => Promise.resolve() }),
    clock,
    log: silentLog,
    recognise: verify,
    isFallen: () => false,
    ownAddresses: () => ['moved:1'],
    onMembers: (members) => {
      learned.push(...members);
      for (const { nodeId } of members) state.memberChanged(nodeId);
    },
    issuerProof: () => undefined,
    isIssuer: () => false,
    seal,
    state,
    spread: { tell: (news: GossipNews) => void told.push(news) } as unknown as RegistrySpread,
    revocations: undefined,
    onOwnChain: () => Promise.resolve(),
    onLeft: () => Promise.resolve(),
  });
});
afterEach(() => temp[Symbol.asyncDispose]());

let told: GossipNews[];
const link = { peer: { nodeId: peer, name: 'desktop' } } as unknown as Link;
const chainOf = (number: number, isGood = true): CertificateChain => ({ leaf: new TextEncoder().encode(`${isGood ? 'good' : 'bad'} ${number}`), issuer: new Uint8Array([1]) });
const card = (number: number, address: string, isGood = true): RosterMessage['members'][number] => ({ chain: chainOf(number, isGood), addresses: [address] });
const received = (...members: RosterMessage['members']): Promise<void> => roster.received(link, { type: 'roster', members });
const addressesOf = (number: number): readonly string[] | undefined => temp.store.read.member(nodeIdFor(number))?.addresses;

function verify({ leaf }: CertificateChain): PeerIdentity {
  const text = new TextDecoder().decode(leaf);
  verified.push(text);
  workedMs += costMs;
  const [what, number = ''] = text.split(' ');
  if (what !== 'good') throw new BrokerError('unauthenticated', 'nobody signed it');
  return { meshId: asMeshId('m'), nodeId: nodeIdFor(Number(number)), name: `n${number}`, owner: 'ada', serial: number, notBeforeMs: 1, notAfterMs: 9e15, publicKey: new Uint8Array() };
}

describe('a roster', () => {
  test.each([['of members', true], ['of certificates that are worth nothing', false]])('of thousands %s leaves turns to others at least every 5 ms', async (_name, isGood) => {
    const cards = Array.from({ length: 2000 }, (_, index) => card(index + 10, 'a:1', isGood));
    let isOver = false;
    const taken = received(...cards).then(() => {
      isOver = true;
    });
    let mostMs = 0;
    for (let before = workedMs; !isOver; before = workedMs) {
      await nextTurn();
      mostMs = Math.max(mostMs, workedMs - before);
    }
    await taken;
    expect(verified).toHaveLength(2000);
    expect(temp.store.read.members()).toHaveLength(isGood ? 2000 : 0);
    expect(mostMs).toBeGreaterThan(0);
    expect(mostMs).toBeLessThan(5);
  });

  test('is not verified again where it is as stored', async () => {
    await received(card(10, 'a:1'), card(11, 'b:1'));
    expect(verified).toHaveLength(2);
    await received(card(10, 'a:2'), card(11, 'b:1'), card(12, 'c:1'));
    expect(verified).toEqual(['good 10', 'good 11', 'good 12']);
    expect(learned.map((each) => each.name)).toEqual(['n10', 'n11', 'n12']);
    // Another's word does not move a node.
    expect(addressesOf(10)).toEqual(['a:1']);
  });

  test('moves the node that sent it, verified once', async () => {
    await received(card(2, 'old:1'));
    await received(card(2, 'new:1'));
    expect(addressesOf(2)).toEqual(['new:1']);
    expect(verified).toEqual(['good 2']);
  });

  test('is not needed for who is a member: certificates are news, once this node is one', async () => {
    roster.announce();
    expect(told).toEqual([]);
    const membership = { meshId: asMeshId('m'), meshName: 'home', name: 'laptop', owner: 'ada', rootDer: new Uint8Array([1]), chain: chainOf(1), isIssuer: true };
    await temp.store.write.saveMembership({ stamp: new Chronicler(new FakeClock()).stamp(), membership, members: [], what: 'mesh.created' });
    roster.announce();
    await received(card(10, 'a:1'));
    await roster.entries([{ chain: chainOf(11) }, { chain: chainOf(10) }], peer);
    const leaves = told.map((each) => (each.type === 'registry_entry' ? new TextDecoder().decode(each.entry.chain?.leaf) : each.type));
    expect(leaves).toEqual(['good 1', 'good 10', 'good 11']);
  });

  test('is taken after the one before it, however long that takes', async () => {
    const long = Array.from({ length: 100 }, (_, index) => card(index + 10, 'a:1', false));
    const first = received(...long, card(2, 'old:1'));
    const second = received(card(2, 'new:1'));
    await Promise.all([first, second]);
    expect(addressesOf(2)).toEqual(['new:1']);
  });
});
