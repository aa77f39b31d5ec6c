/**
 * Who lets others in: the holder of the root's key certifies another member's key for that, and again before that certificate ends.
 * The key never leaves its machine. A certificate by the root is all the proof there is, so nobody but its holder decides.
 */
import type { Act } from '../domain/audit.ts';
import { BrokerError, denied, toBrokerError, unavailable } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { peerFields } from '../domain/log-fields.ts';
import { belongs, outsideError, removedWords } from '../domain/membership.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { MemberQuery, PeerAnswer } from '../domain/messages.ts';
import type { Clock, Log, Random } from '../domain/ports.ts';
import { renewalDueMs, renewalRetryMs } from '../domain/renewal.ts';
import type { Life } from '../domain/renewal.ts';
import type { Store } from '../domain/store-port.ts';
import type { IssuerKeyOffer } from '../domain/trust.ts';
import type { AddedIssuer } from './issuer-api.ts';
import { actOfPeer } from './acts.ts';
import type { Chronicler } from './chronicler.ts';
import type { Self } from './self.ts';

const dialMs = 4_000;
const askMs = 10_000;

/** Keys, certificates and files are outside the core. */
export interface IssuerPorts {
  readonly holdsRootKey: () => Promise<boolean>;
  /** Undefined: the root's key is not on this machine. @throws BrokerError when it can't be read */
  readonly certifyIssuer: (publicKey: Uint8Array) => Promise<Uint8Array | undefined>;
  /** The key that this node issues with, or would: durable, with proof that it is this node's. */
  readonly offerIssuerKey: () => Promise<IssuerKeyOffer>;
  /** Whether that node holds the key. */
  readonly isOffered: (nodeId: NodeId, offer: IssuerKeyOffer) => boolean;
  /** This node lets others in from now on, by that certificate. @throws BrokerError `unauthenticated` for one that the root did not sign for its key */
  readonly becomeIssuer: (certificate: Uint8Array, act?: Act) => Promise<void>;
  /** Of a certificate of an authority. @throws BrokerError */
  readonly lifeOf: (certificate: Uint8Array) => Life;
  readonly isOfKey: (certificate: Uint8Array, publicKey: Uint8Array) => boolean;
}

export interface AppointingParts extends IssuerPorts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** By name or id. @throws `not_found` with the nearest names */
  readonly find: (text: string) => NodeId;
  /** All who are linked are to know that this node is an issuer. */
  readonly announce: () => void;
}

export class Appointing {
  readonly #parts: AppointingParts;
  #working: Promise<void> | undefined;
  #failures = 0;
  #nextMs = 0;

  constructor(parts: AppointingParts) {
    this.#parts = parts;
  }

  /** @throws as `BrokerApi.addIssuer` does */
  async add(text: string, act?: Act): Promise<AddedIssuer> {
    const { store, self, find, holdsRootKey, offerIssuerKey } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) throw outsideError(store.read.removedFrom());
    const nodeId = find(text);
    const isSelf = nodeId === self.nodeId;
    const known = isSelf ? undefined : store.read.member(nodeId);
    if (known?.removed !== undefined) throw denied(`${known.name} can’t let others in: ${removedWords(known.removed)}`);
    if (known?.left !== undefined) throw denied(`${known.name} has left the mesh`);
    const already = isSelf ? membership.isIssuer : known?.isIssuer === true;
    if (!(await holdsRootKey())) throw rootElsewhere();
    if (isSelf) {
      const certificate = await this.#certify((await offerIssuerKey()).publicKey);
      await this.#become(certificate, act);
    } else await this.#appoint(nodeId, { act });
    return { nodeId, name: isSelf ? self.name() : (known?.name ?? nodeId), owner: isSelf ? self.owner() : (known?.owner ?? ''), already };
  }

  /** Another node's word. @throws BrokerError `denied` for what this node does not do for it */
  async answer(link: Link, query: Extract<MemberQuery, { type: 'issuer_key' | 'become_issuer' | 'renew_issuer' }>): Promise<PeerAnswer> {
    const { store, self, offerIssuerKey, log } = this.#parts;
    switch (query.type) {
      case 'issuer_key':
        return { type: 'issuer_key', offer: await offerIssuerKey() };
      case 'become_issuer':
        await this.#become(query.certificate, actOfPeer(link));
        log.info({ by: link.peer.name }, 'this node lets others in from now on');
        return { type: 'become_issuer' };
      case 'renew_issuer': {
        const { peer } = link;
        const before = store.read.member(peer.nodeId)?.issuerDer;
        // An issuer may go on being one; a new one is made by a person, where the root's key is.
        if (before === undefined) throw denied(`${self.name()} does not know ${peer.name} as one that lets others in`);
        await this.#appoint(peer.nodeId, { only: before, act: actOfPeer(link) });
        return { type: 'renew_issuer' };
      }
    }
  }

  /** Renews this node's certificate as an issuer when that is due; asked now and then. */
  look(): void {
    const { store, clock, lifeOf } = this.#parts;
    const membership = store.read.membership();
    if (membership?.isIssuer !== true || this.#working !== undefined || clock.monotonic() < this.#nextMs) return;
    const life = lifeOf(membership.issuerDer ?? membership.chain.issuer);
    if (clock.now() < renewalDueMs(life, 0)) {
      this.#nextMs = clock.monotonic() + 3_600_000;
      return;
    }
    this.#working = this.#renewOwn(life).finally(() => (this.#working = undefined));
  }

  async stop(): Promise<void> {
    await this.#working;
  }

  async #renewOwn({ notAfterMs }: Life): Promise<void> {
    const { clock, random, log, certifyIssuer, offerIssuerKey } = this.#parts;
    try {
      const own = await certifyIssuer((await offerIssuerKey()).publicKey);
      if (own === undefined) await this.#askForRenewal();
      else await this.#become(own);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#nextMs = clock.monotonic() + renewalRetryMs(this.#failures, notAfterMs - clock.now(), random());
      log.warn({ why: toBrokerError(error).message, to: new Date(notAfterMs).toISOString() }, 'this node’s certificate as one that lets others in could not be renewed yet; it is tried again');
    }
  }

  async #askForRenewal(): Promise<void> {
    const { store, self, mesh } = this.#parts;
    const reasons: string[] = [];
    for (const { nodeId, name } of store.read.members().filter((each) => each.isIssuer === true && belongs(each) && each.nodeId !== self.nodeId)) {
      try {
        const link = mesh().link(nodeId) ?? (await mesh().dialNow(nodeId, dialMs));
        if (link !== undefined) {
          await link.ask({ type: 'renew_issuer' }, askMs);
          return;
        }
        reasons.push(`${name} (not reached)`);
      } catch (error) {
        reasons.push(`${name} (${toBrokerError(error).message})`);
      }
    }
    throw unavailable(`the machine with the key of the mesh did not renew it: ${reasons.join(', ') || 'no other is known that lets others in'}`);
  }

  /** @param only for the key of that certificate, when it is to go on and not to begin */
  async #appoint(nodeId: NodeId, { only, act }: { readonly only?: Uint8Array; readonly act: Act | undefined }): Promise<void> {
    const { store, mesh, chronicler, holdsRootKey, isOffered, isOfKey, log } = this.#parts;
    const name = store.read.member(nodeId)?.name ?? nodeId;
    // Before anybody is disturbed.
    if (!(await holdsRootKey())) throw rootElsewhere();
    const link = mesh().link(nodeId) ?? (await mesh().dialNow(nodeId, dialMs));
    if (link === undefined) throw unavailable(`${name} has to be up for that, and can’t be reached`, 'its key for it is made on it: start it, and say it again');
    const { offer } = await link.ask({ type: 'issuer_key' }, askMs);
    if (!isOffered(nodeId, offer)) throw new BrokerError('unauthenticated', `${name} did not prove that it holds the key that it would issue with`);
    if (only !== undefined && !isOfKey(only, offer.publicKey)) throw denied(`${name} has another key to issue with than before`, `a person has to agree: beckon mesh issuer add ${name}`);
    const certificate = await this.#certify(offer.publicKey);
    // Known here first: who would be removed later, is removed with what this key has signed.
    await store.write.addIssuer({ stamp: chronicler.stamp(), act, nodeId, certificate });
    await link.ask({ type: 'become_issuer', certificate }, askMs);
    log.info(peerFields(link.peer), `${name} may let others in`);
  }

  async #become(certificate: Uint8Array, act?: Act): Promise<void> {
    const { becomeIssuer, announce } = this.#parts;
    await becomeIssuer(certificate, act);
    announce();
  }

  async #certify(publicKey: Uint8Array): Promise<Uint8Array> {
    const certificate = await this.#parts.certifyIssuer(publicKey);
    if (certificate === undefined) throw rootElsewhere();
    return certificate;
  }
}

function rootElsewhere(): BrokerError {
  return denied(
    'only where the key of the mesh is can another node be made to let others in, and it is not on this machine',
    'say it on the node that made the mesh, or on one where its recovery file was imported: beckon mesh recovery import FILE',
  );
}
