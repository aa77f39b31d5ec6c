/**
 * What replicates: gossip as it comes from a neighbour, with heads, records, certificates, departures, revocations and presence.
 * Signed words are changed after they were signed, and before: then the member signs what it says, as it may.
 */
import { createRecordSeal } from '../../../src/app/record-seal.ts';
import type { GossipNews } from '../../../src/domain/gossip-port.ts';
import { asMeshId } from '../../../src/domain/ids.ts';
import type { RegistryEntry } from '../../../src/domain/registration.ts';
import { Gossip } from '../../../src/gen/beckon/v1/registry.ts';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { decodeGossip, encodeGossip } from '../../../src/rpc/registry.ts';
import { readCertificate } from '../../../src/trust/certificate.ts';
import { signRevocation } from '../../../src/trust/revocation.ts';
import type { Issuer } from '../../../src/trust/mesh-authority.ts';
import { sign } from 'node:crypto';
import { holds } from '../engine/boundary.ts';
import type { Boundary, Target, Verdict } from '../engine/boundary.ts';
import { protobufMutation } from '../engine/mutate-protobuf.ts';
import { keyOf, meshOf, nodeKey, nowMs, who } from './mesh-keys.ts';
import { toldSet } from './peer-words.ts';
import { refusal } from './readers.ts';
import { cards, World } from './world.ts';
import type { Cards } from './world.ts';

/** The first byte: as it is, or signed anew by its member, or by this member in another's name. */
const modes = 3;
const signers = [undefined, who.peer, who.other] as const;

const gossipMutation = protobufMutation('beckon.v1.Gossip', ['@new@desktop#main', nodeKey(who.peer).nodeId, nodeKey(who.other).nodeId]);
const inner = { head: protobufMutation('beckon.v1.RegistryHead', [nodeKey(who.peer).nodeId, 'a'.repeat(64)]), registration: protobufMutation('beckon.v1.Registration', ['@x@desktop#main', nodeKey(who.peer).nodeId]), departure: protobufMutation('beckon.v1.Departure', [nodeKey(who.peer).nodeId]), presence: protobufMutation('beckon.v1.Presence', ['fabric#main']) };

export const records: Boundary = {
  name: 'records',
  what: 'gossip: signed heads, records, departures, revocations, presence, certificates, forged and signed',
  seeds: async () => seedsOf(await cards()),
  mutate: (input, dice, other) => {
    const mode = dice.chance(0.2) ? dice.between(0, modes - 1) : (input[0] ?? 0) % modes;
    const bytes = input.subarray(1);
    if (mode === 0 || dice.chance(0.4)) return Buffer.concat([Buffer.from([mode]), gossipMutation(bytes, dice, other.subarray(1))]);
    // What is signed is changed as what it is.
    try {
      const { news } = Gossip.decode(bytes);
      const bend = (kind: keyof typeof inner, record: { payload: Buffer } | undefined): void => {
        if (record !== undefined && dice.chance(0.5)) record.payload = Buffer.from(inner[kind](record.payload, dice, record.payload));
      };
      if (news?.$case === 'change') {
        bend('head', news.value.head);
        for (const record of news.value.records) bend('registration', record);
      }
      if (news?.$case === 'entry') bend(dice.chance(0.5) ? 'departure' : 'head', news.value.departure ?? news.value.head);
      if (news?.$case === 'presence') bend('presence', news.value);
      return Buffer.concat([Buffer.from([mode]), Gossip.encode({ news }).finish()]);
    } catch {
      return Buffer.concat([Buffer.from([mode]), bytes]);
    }
  },
  renewEvery: 3_000,
  longest: 64 * 1024,
  open: async () => {
    const given = await cards();
    const target = new RecordsTarget(given);
    await target.renew();
    return target;
  },
};

class RecordsTarget implements Target {
  readonly #cards: Cards;
  #world: World | undefined;
  #isSpent = false;
  #given = 0;

  constructor(given: Cards) {
    this.#cards = given;
  }

  state(): string {
    return this.#world?.state() ?? '';
  }

  async renew(): Promise<void> {
    await this.#world?.close();
    this.#isSpent = false;
    this.#given = 0;
    this.#world = await World.open(this.#cards);
  }

  async close(): Promise<void> {
    await this.#world?.close();
    this.#world = undefined;
  }

  async settle(): Promise<void> {
    // To make a world takes as long as a hundred inputs.
    if (this.#isSpent && (this.#given += 1) > 150) await this.renew();
    // Each neighbour may say so much a second.
    await this.#world?.settled(1_100);
    this.#world?.checked();
  }

  async run(input: Uint8Array): Promise<Verdict> {
    const world = this.#world;
    if (world === undefined) throw new Error('it was closed');
    const mode = (input[0] ?? 0) % modes;
    let news: GossipNews | undefined;
    try {
      news = decodeGossip(mode === 0 ? input.subarray(1) : signedAnew(input.subarray(1), signers[mode] ?? who.peer, this.#cards));
    } catch (error) {
      return refusal(error);
    }
    if (news === undefined) return 'refused';
    const before = world.store.read.members().length;
    const wasKept = news.type === 'registry_entry' && isKept(world, news.entry);
    const verdict = await world.track(world.broker.registry.gossiped(news, world.peer.nodeId));
    await world.settled();
    world.checked();
    holds(world.store.read.members().length - before <= 1, 'one word tells of one member at most');
    for (const { registration } of world.store.read.registrations(world.peer.nodeId)) holds(registration.nodeId === world.peer.nodeId, 'a registration is of the node that signed it');
    const isTaken = verdict === 'accept' || (!wasKept && news.type === 'registry_entry' && isKept(world, news.entry));
    if (!wasKept && isTaken && news.type === 'registry_entry' && news.entry.chain !== undefined && isOneOf(news.entry.chain.leaf, world.store.read.members().map(({ chain }) => chain.leaf)))
      for (const der of [news.entry.chain.leaf, news.entry.chain.issuer]) holds(readCertificate(der).raw.equals(der), 'a certificate that is kept is one in DER and nothing else');
    // Of who is no member, or has said its last word, nothing more is heard.
    this.#isSpent ||= isTaken && world.hasLost(world.peer.nodeId);
    return isTaken ? 'accepted' : 'refused';
  }
}

const isOneOf = (bytes: Uint8Array | undefined, kept: readonly (Uint8Array | undefined)[]): boolean => bytes !== undefined && kept.some((each) => each !== undefined && Buffer.from(bytes).equals(each));

/** A certificate, a departure and a revocation each prove themselves, whatever is said beside them. This node's own certificate is taken from anybody, and passed on to nobody. */
function isKept({ store: { read } }: World, { chain, departure, revocation }: RegistryEntry): boolean {
  const members = read.members();
  return (
    isOneOf(chain?.leaf, [read.membership()?.chain.leaf, ...members.map((each) => each.chain.leaf)]) ||
    isOneOf(departure?.payload, members.map(({ left }) => left?.record.payload)) ||
    isOneOf(revocation?.payload, read.revocations().map(({ record }) => record.payload))
  );
}

function signedAnew(bytes: Uint8Array, signer: number, { meshId }: Cards): Uint8Array {
  let gossip: Gossip;
  try {
    gossip = Gossip.decode(bytes);
  } catch {
    return bytes;
  }
  const key = nodeKey(signer);
  const seal = (domain: string, record: { payload: Buffer; signature: Buffer } | undefined): void => {
    if (record !== undefined) record.signature = Buffer.from(key.sign(Buffer.concat([Buffer.from(`beckon-${domain}-v1\0${meshId}\0`), record.payload])));
  };
  const { news } = gossip;
  if (news?.$case === 'change') {
    for (const record of news.value.records) seal('registration', record);
    seal('head', news.value.head);
  }
  if (news?.$case === 'entry') {
    seal('head', news.value.head);
    seal('departure', news.value.departure);
  }
  if (news?.$case === 'presence') seal('presence', news.value);
  return Gossip.encode(gossip).finish();
}

const padded = (chain: CertificateChain, what: keyof CertificateChain): CertificateChain => ({ ...chain, [what]: Buffer.concat([chain[what], Buffer.from([0])]) });

async function seedsOf({ mesh, meshId, chains }: Cards): Promise<Readonly<Record<string, Uint8Array>>> {
  const seal = createRecordSeal(nodeKey(who.peer), () => meshId);
  const { nodeId } = nodeKey(who.peer);
  const foreign = createRecordSeal(nodeKey(who.peer), () => asMeshId('b'.repeat(26)));
  const issuer = { root: mesh.root, roots: mesh.root, certificate: mesh.issuer, meshId, sign: (statement: Uint8Array) => new Uint8Array(sign(null, statement, keyOf(2))) } as unknown as Issuer;
  const otherMesh = await meshOf(5);
  const news: Readonly<Record<string, GossipNews>> = {
    'a set': toldSet(meshId, ['fabric', 'review'], 1),
    'a later set': toldSet(meshId, ['fabric', 'review', 'test'], 2),
    'an empty set': toldSet(meshId, [], 3),
    'of another mesh': { type: 'registry_change', change: { head: foreign.sealHead({ nodeId, epoch: 9, version: 1, count: 0, rootHash: 'a'.repeat(64), addresses: [], gossipAddresses: [] }), records: [], gone: ['0123456789abcdef'] } },
    'a member': { type: 'registry_entry', entry: { chain: await mesh.chainOf(13, 'newcomer') } },
    'a renewed member': { type: 'registry_entry', entry: { chain: await mesh.chainOf(who.other, 'studio', { madeAtMs: nowMs + 86_000_000 }) } },
    'a member of another mesh': { type: 'registry_entry', entry: { chain: await otherMesh.chainOf(13, 'newcomer') } },
    'a member with more behind it': { type: 'registry_entry', entry: { chain: padded(await mesh.chainOf(14, 'padded'), 'leaf') } },
    'a member with more behind its issuer': { type: 'registry_entry', entry: { chain: padded(await mesh.chainOf(15, 'padded-too'), 'issuer') } },
    'this node, with more behind it': { type: 'registry_entry', entry: { chain: padded(chains.self, 'leaf') } },
    'this node': { type: 'registry_entry', entry: { chain: chains.self } },
    'a departure': { type: 'registry_entry', entry: { departure: seal.sealDeparture({ nodeId, certifiedAtMs: nowMs, leftAtMs: nowMs }) } },
    'a later departure': { type: 'registry_entry', entry: { departure: seal.sealDeparture({ nodeId, certifiedAtMs: nowMs + 1, leftAtMs: nowMs }) } },
    'a revocation': { type: 'registry_entry', entry: { revocation: signRevocation(issuer, { nodeId: nodeKey(who.stranger).nodeId, name: 'tower', by: 'ada', revokedAtMs: nowMs }) } },
    'presence': { type: 'presence', presence: seal.sealPresence({ nodeId, epoch: 3, number: 1, running: 1, queued: 2, agents: [{ address: '@fabric@desktop#main', running: 1, queued: 2 }] }) },
  };
  return Object.fromEntries(Object.entries(news).flatMap(([name, each]) => [0, 1, 2].map((mode) => [`${name}, ${['as it is', 'signed', 'signed by another'][mode]}`, Buffer.concat([Buffer.from([mode]), encodeGossip(each)])] as const)));
}
