/**
 * This node's certificate is renewed before it ends, by any issuer that is up; each may be away for months. After its end no
 * session is to be had, and an issuer is asked at its entrance, with proof of the key.
 */
import { toBrokerError, unavailable } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Mesh } from '../domain/mesh-port.ts';
import { namedSince } from '../domain/name-holder.ts';
import type { Clock, Log, Random } from '../domain/ports.ts';
import { isInForce, renewalDueMs, renewalRetryMs } from '../domain/renewal.ts';
import type { Store } from '../domain/store-port.ts';
import { isLaterCertificate } from '../domain/trust.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import type { CertificateWish } from './renaming.ts';
import type { Self } from './self.ts';

const dialMs = 4_000;
const askMs = 10_000;
/** Issuers that are asked in one try; the next try takes others. */
const mostAsked = 8;
/** A peer that has just come says within this whether it is an issuer. */
const greetingMs = 2_000;
/** From here on a person should know. */
const worryingMs = 20 * 86_400_000;

export interface RenewalParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What a certificate says, whoever signed it. @throws BrokerError */
  readonly readLeaf: (leaf: Uint8Array) => PeerIdentity;
  /** Against this mesh's root, now. @throws BrokerError `unauthenticated` */
  readonly verify: (chain: CertificateChain) => PeerIdentity;
  /** Undefined: this node is no issuer. @throws BrokerError when what it signs now holds nowhere */
  readonly certify: (wish: CertificateWish) => Promise<CertificateChain | undefined>;
  /** Its issuer was removed, and it is not what was known of this node then: nobody takes it. */
  readonly isDisowned: (own: PeerIdentity) => boolean;
  /** What that issuer signs counts no more, or not for long. */
  readonly isForsaken: (certifiedBy: string | undefined) => boolean;
  /** From any issuer that can be reached, with a certificate that has ended. @throws BrokerError naming who was asked and why not */
  readonly renewAtEntrance: (chain: CertificateChain, signal: AbortSignal) => Promise<CertificateChain>;
  /** Makes it this node's own, and speaks under it from now on. */
  readonly take: (chain: CertificateChain) => Promise<void>;
}

/** For `doctor`: how it went last. */
export interface RenewalTry {
  readonly atMs: number;
  readonly why: string;
}

export class Renewal {
  readonly #parts: RenewalParts;
  /** Of the certificate it has now, read once. */
  #own: { readonly leaf: Uint8Array; readonly identity: PeerIdentity; readonly spread: number } | undefined;
  #working: Promise<void> | undefined;
  #failures = 0;
  /** Monotonic. */
  #nextMs = 0;
  #last: RenewalTry | undefined;
  readonly #stopping = new AbortController();

  constructor(parts: RenewalParts) {
    this.#parts = parts;
  }

  /** Undefined when nothing has gone wrong since it was last renewed. */
  get last(): RenewalTry | undefined {
    return this.#last;
  }

  /** Begins a try when one is due; asked every few seconds. By the wall clock, so that a sleep or a clock that is set is seen at once. */
  look(): void {
    const { clock } = this.#parts;
    const own = this.#current();
    if (own === undefined || this.#working !== undefined || this.#stopping.signal.aborted) return;
    const { identity, spread } = own;
    const nowMs = clock.now();
    if (isInForce(identity, nowMs) && nowMs < renewalDueMs(identity, spread) && !this.#parts.isForsaken(identity.certifiedBy)) return;
    if (clock.monotonic() < this.#nextMs) return;
    this.#working = this.#try(own.identity).finally(() => (this.#working = undefined));
  }

  /** Somebody is there whom it could ask: what failed before says nothing about that. */
  linkUp(): void {
    this.#nextMs = Math.min(this.#nextMs, this.#parts.clock.monotonic() + greetingMs);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
  }

  #current(): { readonly identity: PeerIdentity; readonly spread: number } | undefined {
    const { store, random, readLeaf } = this.#parts;
    const leaf = store.read.membership()?.chain.leaf;
    if (leaf === undefined) return undefined;
    if (this.#own?.leaf !== leaf) {
      this.#own = { leaf, identity: readLeaf(leaf), spread: random() };
      this.#failures = 0;
      this.#nextMs = 0;
      this.#last = undefined;
    }
    return this.#own;
  }

  /** Never rejects. */
  async #try(own: PeerIdentity): Promise<void> {
    const { clock, random, log } = this.#parts;
    try {
      const chain = await this.#obtain(own);
      await this.#parts.take(chain);
      log.info({ to: new Date(this.#parts.readLeaf(chain.leaf).notAfterMs).toISOString() }, 'this node’s certificate was renewed');
      this.#last = undefined;
    } catch (error) {
      const { message, hint } = toBrokerError(error);
      const leftMs = own.notAfterMs - clock.now();
      this.#failures += 1;
      this.#nextMs = clock.monotonic() + renewalRetryMs(this.#failures, leftMs, random());
      // The same word once a day at most: months may pass.
      const isNews = this.#last?.why !== message || clock.now() - this.#last.atMs > 86_400_000;
      if (isNews) log[leftMs < worryingMs ? 'warn' : 'info']({ why: message, hint, to: new Date(own.notAfterMs).toISOString() }, 'this node’s certificate could not be renewed yet; it is tried again');
      this.#last = isNews ? { atMs: clock.now(), why: message } : this.#last;
    }
  }

  async #obtain(own: PeerIdentity): Promise<CertificateChain> {
    const { store, clock, renewAtEntrance } = this.#parts;
    const made = await this.#certifySelf(own);
    if (made !== undefined) return made;
    const membership = store.read.membership();
    if (membership === undefined) throw unavailable('this node is in no mesh any more');
    // Nobody else lets it in by this certificate.
    if (!isInForce(own, clock.now()) || this.#parts.isDisowned(own)) return this.#better(await renewAtEntrance(membership.chain, this.#stopping.signal), own);
    return this.#ask(own);
  }

  /** An issuer needs nobody, as long as what it signs holds. */
  async #certifySelf(own: PeerIdentity): Promise<CertificateChain | undefined> {
    const { self, certify, log } = this.#parts;
    try {
      const { publicKey, notBeforeMs } = own;
      const chain = await certify({ publicKey, name: self.name(), owner: self.owner(), laterThanMs: notBeforeMs, namedSinceMs: namedSince(own) });
      return chain === undefined ? undefined : this.#better(chain, own);
    } catch (error) {
      log.debug({ why: toBrokerError(error).message }, 'this node can’t renew its own certificate; others are asked');
      return undefined;
    }
  }

  async #ask(own: PeerIdentity): Promise<CertificateChain> {
    const { mesh, clock } = this.#parts;
    const reasons: string[] = [];
    for (const { nodeId, name } of this.#whom()) {
      if (this.#stopping.signal.aborted) break;
      try {
        const link = mesh().link(nodeId) ?? (await mesh().dialNow(nodeId, dialMs));
        if (link !== undefined) return this.#better((await link.ask({ type: 'renew', nowMs: clock.now() }, askMs)).chain, own);
        reasons.push(`${name} (${mesh().peers().find((each) => each.nodeId === nodeId)?.why ?? 'not reached'})`);
      } catch (error) {
        reasons.push(`${name} (${toBrokerError(error).message})`);
      }
    }
    throw unavailable(
      reasons.length === 0 ? 'no node that renews certificates is known or linked' : `no node that renews certificates did: ${reasons.join(', ')}`,
      'one of the nodes that let others in has to be up and linked with this one: beckon peers',
    );
  }

  /** Issuers, those with a link first; while none is known yet, whoever is linked: it may be one. */
  #whom(): readonly { readonly nodeId: NodeId; readonly name: string }[] {
    const { store, self, mesh, random } = this.#parts;
    const members = store.read.members().filter((each) => each.nodeId !== self.nodeId && belongs(each));
    const isLinked = ({ nodeId }: { readonly nodeId: NodeId }): boolean => mesh().link(nodeId) !== undefined;
    const issuers = members.filter(({ isIssuer }) => isIssuer === true);
    return (issuers.length > 0 ? issuers : members.filter(isLinked))
      .map((each) => ({ each, rank: (isLinked(each) ? 0 : 1) + random() }))
      .toSorted((a, b) => a.rank - b.rank)
      .slice(0, mostAsked)
      .map(({ each }) => each);
  }

  /** @throws BrokerError for one that is worth no more than what it has */
  #better(chain: CertificateChain, own: PeerIdentity): CertificateChain {
    const { store, clock, verify } = this.#parts;
    const made = verify(chain);
    const membership = store.read.membership();
    const isLater = membership !== undefined && isLaterCertificate({ notBeforeMs: made.notBeforeMs, leaf: chain.leaf }, { notBeforeMs: own.notBeforeMs, leaf: membership.chain.leaf });
    const isOtherIssuer = isLater && this.#parts.isForsaken(own.certifiedBy) && !this.#parts.isForsaken(made.certifiedBy);
    if (own.notBeforeMs <= clock.now() && !isOtherIssuer && (!isLater || made.notAfterMs <= own.notAfterMs)) throw unavailable('what could be had ends no later than what this node has: who signed it must be renewed itself');
    return chain;
  }
}
