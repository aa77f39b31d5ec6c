/**
 * A node gets another name: an issuer certifies its key anew under it. Both sides. The new certificate is durable here, with
 * the addresses that follow from it, before anybody is told; members believe the certificate and nobody's word.
 */
import { parseName } from '../domain/address.ts';
import type { Act } from '../domain/audit.ts';
import { BrokerError, conflict, denied, overload, toBrokerError, unavailable } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import { belongs } from '../domain/membership.ts';
import type { MemberQuery, PeerAnswer } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { isInForce } from '../domain/renewal.ts';
import type { Member, Readdressed, Store } from '../domain/store-port.ts';
import { isLaterCertificate, isSameCertificate } from '../domain/trust.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import { actOfPeer } from './acts.ts';
import type { Chronicler } from './chronicler.ts';
import { InTurn } from './in-turn.ts';
import type { Self } from './self.ts';

const dialMs = 4_000;
const askMs = 5_000;
/** Names that a member is given in so long. */
const mostNames = 20;
const paceMs = 3_600_000;
/** Certificates of this node that it takes from others in so long: each is a row of its audit. */
const mostAdopted = 20;

/** What a certificate is made for, and after which other one of the same node it has to come. */
export interface CertificateWish {
  readonly publicKey: Uint8Array;
  readonly name: string;
  readonly owner: string;
  readonly laterThanMs: number;
  /** Since when it has that name, when it had it before; see `PeerIdentity`. */
  readonly namedSinceMs?: number;
}

export interface RenamingParts {
  readonly store: Store;
  readonly self: Self;
  readonly chronicler: Chronicler;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  readonly log: Log;
  /** Against this mesh's root, now. @throws BrokerError `unauthenticated` */
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  /** Undefined: this node is no issuer. */
  readonly certify: (wish: CertificateWish) => Promise<CertificateChain | undefined>;
  /** This node's own chain was replaced: it speaks under it from now on. */
  readonly onRenamed: (name: string, agents: readonly Readdressed[]) => Promise<void>;
  /** The same, under the name that it had. */
  readonly onRenewed: () => Promise<void>;
  /** Its own certificate, or that of a member it renamed, is to be told. */
  readonly announce: (members: readonly Member[]) => void;
}

export class Renaming {
  readonly #parts: RenamingParts;
  /** A certificate may come back in the answer and, passed on by others, at the same moment. */
  readonly #turns = new InTurn();
  /** When each member asked lately, monotonic. */
  readonly #given = new Map<NodeId, readonly number[]>();
  /** When certificates were taken from others lately, monotonic. */
  #adopted: readonly number[] = [];
  #isSated = false;
  /** What was asked for here last, and by whom, whichever way the certificate comes back. */
  #wish: { readonly name: string; readonly act: Act | undefined } | undefined;

  constructor(parts: RenamingParts) {
    this.#parts = parts;
  }

  /** @throws as `BrokerApi.renameNode` does */
  async rename(text: string, act?: Act): Promise<{ name: string; was: string }> {
    const { store, self } = this.#parts;
    const name = parseName(text);
    const membership = store.read.membership();
    if (membership === undefined) throw conflict('this node is in no mesh, and its name is given when it starts', `beckon down, then beckon up --name ${name}`);
    const was = membership.name;
    if (name === was) return { name, was };
    if (store.read.members().some((each) => each.name === name && each.nodeId !== self.nodeId && belongs(each))) throw taken(name);
    this.#wish = { name, act };
    const { publicKey, notBeforeMs } = this.#parts.verify(membership.chain);
    const chain = (await this.#parts.certify({ publicKey, name, owner: membership.owner, laterThanMs: notBeforeMs })) ?? (await this.#ask(name));
    await this.#take(chain, name);
    return { name, was };
  }

  /** A new certificate under whatever name the issuer knows. @throws BrokerError `unauthenticated` for one of another node or person */
  async renewed(chain: CertificateChain): Promise<void> {
    await this.#take(chain, this.#parts.verify(chain).name);
  }

  /** A certificate of this node that is newer than its own: an answer that did not arrive, or came after its store was put back. */
  async adopt(chain: CertificateChain, identity: PeerIdentity): Promise<void> {
    const { store, self, clock, log } = this.#parts;
    const isNewer = (): boolean => {
      const membership = store.read.membership();
      const own = membership === undefined ? undefined : { notBeforeMs: self.certifiedAtMs(), leaf: membership.chain.leaf };
      return own !== undefined && isInForce(identity, clock.now()) && isLaterCertificate({ notBeforeMs: identity.notBeforeMs, leaf: chain.leaf }, own) && identity.owner === membership?.owner;
    };
    if (!isNewer()) return;
    // One that was just asked for is stored first.
    await this.#turns.settled();
    if (!isNewer() || !this.#mayAdopt()) return;
    log.info({ was: self.name(), name: identity.name }, 'other members have a newer certificate of this node: it is used from now on');
    await this.#take(chain, identity.name);
  }

  /** What is left is told again, as long as others hold a newer one. */
  #mayAdopt(): boolean {
    const { clock, log } = this.#parts;
    const nowMs = clock.monotonic();
    this.#adopted = this.#adopted.filter((atMs) => nowMs - atMs < paceMs);
    const isSated = this.#adopted.length >= mostAdopted;
    if (isSated && !this.#isSated) log.warn({}, `others had ${mostAdopted} newer certificates of this node within an hour: no more are taken for now`);
    this.#isSated = isSated;
    if (!isSated) this.#adopted = [...this.#adopted, nowMs];
    return !isSated;
  }

  /** To a member that wants another name. @throws `denied` when this node is no issuer, `conflict` when the name is another's */
  async answer(link: Link, { name: text }: Extract<MemberQuery, { type: 'rename' }>): Promise<PeerAnswer> {
    this.#checkPace(link.peer);
    const { store, self, chronicler, certify, verify, announce, log } = this.#parts;
    const { peer } = link;
    const name = parseName(text);
    const known = store.read.member(peer.nodeId);
    if (known?.left !== undefined) throw denied(`${peer.name} has left the mesh`);
    if (known?.removed !== undefined) throw denied(`${peer.name} was removed from the mesh by ${known.removed.by}`);
    const isTaken = name === self.name() || store.read.members().some((each) => each.name === name && each.nodeId !== peer.nodeId && belongs(each));
    if (isTaken) throw taken(name);
    const owner = known?.owner ?? peer.owner;
    const chain = await certify({ publicKey: peer.publicKey, name, owner, laterThanMs: Math.max(known?.notBeforeMs ?? 0, peer.notBeforeMs) });
    if (chain === undefined) throw denied(`${self.name()} can’t certify names: it is no issuer`);
    const { notBeforeMs } = verify(chain);
    const member: Member = { nodeId: peer.nodeId, name, owner, chain, notBeforeMs, addresses: known?.addresses ?? [] };
    // The name is looked at again in the commit: of two that ask at once, one gets it.
    await store.write.renameMember({ stamp: chronicler.stamp(), act: actOfPeer(link), member });
    log.info({ ...peerFields(peer), was: known?.name ?? peer.name, name }, 'a member got another name');
    announce([member]);
    return { type: 'rename', chain };
  }

  async #ask(name: string): Promise<CertificateChain> {
    const { store, mesh, self } = this.#parts;
    const issuers = store.read.members().filter((each) => each.isIssuer === true && belongs(each) && each.nodeId !== self.nodeId);
    const reached = await Promise.all(issuers.map(async ({ nodeId }) => mesh().link(nodeId) ?? (await mesh().dialNow(nodeId, dialMs))));
    const reasons = new Map<NodeId, string>();
    for (const [index, issuer] of issuers.entries()) {
      const link = reached[index];
      if (link === undefined) {
        reasons.set(issuer.nodeId, mesh().peers().find(({ nodeId }) => nodeId === issuer.nodeId)?.why ?? 'not reached');
        continue;
      }
      try {
        return (await link.ask({ type: 'rename', name }, askMs)).chain;
      } catch (error) {
        const known = toBrokerError(error);
        if (known.code === 'conflict' || known.code === 'invalid') throw known;
        reasons.set(issuer.nodeId, known.message);
      }
    }
    const named = issuers.map((each) => `${each.name} (${reasons.get(each.nodeId) ?? 'not reached'})`).join(', ');
    throw unavailable(
      issuers.length === 0 ? 'only an issuer can give another name, and this node has not met one yet' : `only an issuer can give another name, and none can be reached: ${named}`,
      `this node is still ${self.name()}; when one of them is up and linked (beckon peers), say it again: beckon mesh rename ${name}`,
    );
  }

  /** Each name stays in the audit for ever. @throws BrokerError `overload` */
  #checkPace({ nodeId, name }: PeerIdentity): void {
    const nowMs = this.#parts.clock.monotonic();
    const lately = (this.#given.get(nodeId) ?? []).filter((atMs) => nowMs - atMs < paceMs);
    if (lately.length >= mostNames) throw overload(`${name} was given ${mostNames} names in the last hour`, paceMs);
    this.#given.set(nodeId, [...lately, nowMs]);
  }

  #take(chain: CertificateChain, name: string): Promise<void> {
    return this.#turns.run(() => this.#store(chain, name));
  }

  async #store(chain: CertificateChain, name: string): Promise<void> {
    const { store, self, chronicler, verify, onRenamed, onRenewed } = this.#parts;
    const identity = verify(chain);
    if (identity.nodeId !== self.nodeId || identity.name !== name || identity.owner !== self.owner()) {
      throw new BrokerError('unauthenticated', 'the certificate that came back is not the one that was asked for');
    }
    const own = store.read.membership()?.chain.leaf;
    if (own !== undefined && isSameCertificate(own, chain.leaf)) return;
    if (name === self.name()) {
      await store.write.replaceOwnChain({ stamp: chronicler.stamp(), name, chain, untilMs: identity.notAfterMs });
      await onRenewed();
    } else {
      const act = this.#wish?.name === name ? this.#wish.act : undefined;
      await onRenamed(name, await store.write.renameNode({ stamp: chronicler.stamp(), act, name, chain }));
    }
  }
}

function taken(name: string): BrokerError {
  return conflict(`another node of this mesh is called ${name}`, 'take another name');
}
