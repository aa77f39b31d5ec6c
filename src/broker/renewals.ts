/** The issuer's side of renewing: who asks is proven; what it gets is what the mesh knows of it, for another while. */
import type { Act, Whence } from '../domain/audit.ts';
import { BrokerError, conflict, denied, unavailable } from '../domain/errors.ts';
import { formatDuration } from '../domain/duration.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { MemberQuery, PeerAnswer } from '../domain/messages.ts';
import { namedSince } from '../domain/name-holder.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { judgeRenewal, mostSkewMs } from '../domain/renewal.ts';
import type { Member, Store } from '../domain/store-port.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import { actOfPeer } from './acts.ts';
import type { Chronicler } from './chronicler.ts';
import { InTurn } from './in-turn.ts';
import type { CertificateWish } from './renaming.ts';
import { removedKey } from './removal.ts';
import type { Self } from './self.ts';

const comesAnew = 'it needs an invitation, beckon mesh invite; with that, on its machine: beckon mesh leave, then beckon mesh join TOKEN';

export interface RenewalsParts {
  readonly store: Store;
  readonly self: Self;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly log: Log;
  /** Against this mesh's root, now. @throws BrokerError `unauthenticated` */
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  /** The same of one that may have ended, as of its end. */
  readonly recognise: (chain: CertificateChain) => PeerIdentity;
  readonly isForsaken: (certifiedBy: string | undefined) => boolean;
  /** Whether that issuer was removed. */
  readonly isFallen: (certifiedBy: string | undefined) => boolean;
  /** Undefined: this node is no issuer. */
  readonly certify: (wish: CertificateWish) => Promise<CertificateChain | undefined>;
  /** That member's new certificate is to be told. */
  readonly announce: (members: readonly Member[]) => void;
}

export class Renewals {
  readonly #parts: RenewalsParts;
  /** One after the other: what one writes the next has to see. */
  readonly #turns = new InTurn();

  constructor(parts: RenewalsParts) {
    this.#parts = parts;
  }

  /** To a member, over its session. @throws as `renew` */
  async answer(link: Link, { nowMs }: Extract<MemberQuery, { type: 'renew' }>): Promise<PeerAnswer> {
    return { type: 'renew', chain: await this.#inTurn(link.peer, nowMs, actOfPeer(link)) };
  }

  /**
   * To a node that proved to hold the key of that certificate, which may have ended. @param askerNowMs its wall clock
   * @throws BrokerError `denied` when this node is no issuer, when it left, or when it ended too long ago; `unauthenticated` for
   * one that was removed, or for what is no certificate of this mesh; `conflict` when it needs none; `unavailable` for
   * clocks that differ
   */
  async renew(chain: CertificateChain, askerNowMs: number, from?: Whence): Promise<CertificateChain> {
    const shown = this.#parts.recognise(chain);
    const { nodeId, name, owner } = shown;
    return this.#inTurn(shown, askerNowMs, from === undefined ? undefined : { who: { is: 'member', nodeId, name, owner }, from });
  }

  /**
   * The same for one that stays although the issuer of that certificate was removed, and whom the certificate calls otherwise than it was known then: its key
   * counts, and of all else what is known here. @throws as `renew`, and `unavailable` while nothing is known here
   */
  async renewKept(shown: PeerIdentity, askerNowMs: number, from?: Whence): Promise<CertificateChain> {
    const known = this.#parts.store.read.member(shown.nodeId);
    if (known === undefined || known.removed !== undefined) throw unavailable(`${this.#parts.self.name()} knows that node by no certificate that counts`, 'another node that lets others in may');
    const act: Act | undefined = from === undefined ? undefined : { who: { is: 'member', nodeId: known.nodeId, name: known.name, owner: known.owner }, from };
    return this.#turns.run(() => this.#renew(shown, askerNowMs, act, this.#parts.recognise(known.chain)));
  }

  #inTurn(shown: PeerIdentity, askerNowMs: number, act: Act | undefined): Promise<CertificateChain> {
    return this.#turns.run(() => this.#renew(shown, askerNowMs, act));
  }

  /** @param instead what is gone by of a node that shows what does not count */
  async #renew(shown: PeerIdentity, askerNowMs: number, act: Act | undefined, instead?: PeerIdentity): Promise<CertificateChain> {
    const { store, self, clock } = this.#parts;
    const nowMs = clock.now();
    const revoked = store.read.revocation(shown.nodeId)?.revocation;
    if (revoked !== undefined) throw removedKey(revoked.name, revoked.by);
    if (Math.abs(nowMs - askerNowMs) > mostSkewMs) {
      throw unavailable(`the clocks of ${shown.name} and ${self.name()} are ${formatDuration(Math.abs(nowMs - askerNowMs))} apart`, 'set the one that is wrong: a certificate made by it would hold for nobody');
    }
    const known = store.read.member(shown.nodeId);
    if (known?.removed !== undefined) throw removedKey(known.name, known.removed.by);
    if (known?.left !== undefined) throw denied(`${shown.name} has left the mesh`, comesAnew);
    const newest = instead ?? (known === undefined || known.notBeforeMs > nowMs ? shown : this.#newer(known, shown));
    // It has one that is later and counts less, or not at all.
    const isLess = newest.notBeforeMs <= shown.notBeforeMs && newest !== shown;
    // Of certificates that are later and ended sooner the thief of an issuer's key has many.
    const notAfterMs = Math.max(newest.notAfterMs, instead === undefined ? shown.notAfterMs : 0);
    const verdict = judgeRenewal({ ...newest, notAfterMs }, nowMs);
    switch (verdict === 'early' && (isLess || this.#parts.isForsaken(newest.certifiedBy)) ? 'sign' : verdict) {
      case 'late':
        throw denied(`the certificate of ${newest.name} ended ${formatDuration(nowMs - notAfterMs)} ago, and it can be renewed for 90d`, comesAnew);
      case 'early':
        // It was renewed, and the answer got lost.
        if (newest !== shown && known !== undefined) return known.chain;
        throw conflict(`the certificate of ${newest.name} holds until ${new Date(newest.notAfterMs).toISOString()}, and needs no renewal yet`);
      case 'sign':
        return this.#sign(newest, known, { act, laterThanMs: shown.notBeforeMs > nowMs ? newest.notBeforeMs : Math.max(newest.notBeforeMs, shown.notBeforeMs), isAsLong: isLess });
    }
  }

  /** What is stored was verified when it came; an issuer that was removed since may have made it. */
  #newer({ chain, notBeforeMs }: Member, shown: PeerIdentity): PeerIdentity {
    const isOfFallen = this.#parts.isFallen(shown.certifiedBy);
    if (notBeforeMs <= shown.notBeforeMs && !isOfFallen) return shown;
    const known = this.#recognised(chain);
    if (known?.nodeId !== shown.nodeId) return shown;
    return notBeforeMs > shown.notBeforeMs || !this.#parts.isFallen(known.certifiedBy) ? known : shown;
  }

  /** Undefined for one that counts no more. */
  #recognised(chain: CertificateChain): PeerIdentity | undefined {
    try {
      return this.#parts.recognise(chain);
    } catch (error) {
      if (error instanceof BrokerError) return undefined;
      throw error;
    }
  }

  async #sign(newest: PeerIdentity, known: Member | undefined, { act, laterThanMs, isAsLong }: { readonly act: Act | undefined; readonly laterThanMs: number; readonly isAsLong: boolean }): Promise<CertificateChain> {
    const { store, self, chronicler, verify, certify, announce, log } = this.#parts;
    const { nodeId, publicKey, name, owner } = newest;
    const chain = await certify({ publicKey, name, owner, laterThanMs, namedSinceMs: namedSince(newest) });
    if (chain === undefined) throw denied(`${self.name()} can’t renew certificates: it is no issuer`);
    const made = verify(chain);
    if (made.notAfterMs <= newest.notAfterMs && !isAsLong && !this.#parts.isForsaken(newest.certifiedBy)) throw unavailable(`${self.name()} could not make one that ends later: its own certificate as an issuer ends`);
    const since = made.namedSinceMs === undefined ? {} : { namedSinceMs: made.namedSinceMs };
    const member: Member = { nodeId, name, owner, chain, notBeforeMs: made.notBeforeMs, ...since, addresses: known?.addresses ?? [] };
    await store.write.renewMember({ stamp: chronicler.stamp(), act, member, untilMs: made.notAfterMs });
    log.info({ ...peerFields(newest), to: new Date(made.notAfterMs).toISOString() }, 'the certificate of a member was renewed');
    announce([member]);
    return chain;
  }
}
