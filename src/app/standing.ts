/**
 * Whether a node whose certificate holds is a member now: not when its key was removed, and not when all that speaks for it is an
 * issuer that was. A node is let in once after its removal, to be told so and no more: it could not believe a connection that is cut.
 */
import { BrokerError } from '../domain/errors.ts';
import { belongs, removedWords } from '../domain/membership.ts';
import type { Member } from '../domain/membership.ts';
import type { NodeId } from '../domain/ids.ts';
import type { KeptAs, StoredRevocation } from '../domain/revocation.ts';
import type { Store } from '../domain/store-port.ts';
import { withdrawalIn } from '../domain/trust.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import type { RemovedPeer } from '../mesh/gone.ts';
import { authorityName } from '../trust/certificate.ts';
import { keptAsIn, whoIs } from '../trust/revocation.ts';
import { rootsOf } from './node-self.ts';

/** Nodes that are remembered as told: more than were ever removed, unless an issuer that fell has made them. */
const mostTold = 1_000;

export class Standing {
  readonly #store: Pick<Store, 'read'>;
  readonly #told = new Set<NodeId>();
  /** By the signature of the record: read once each. */
  readonly #keptAs = new Map<string, { readonly keptAs: KeptAs | undefined }>();

  constructor(store: Pick<Store, 'read'>) {
    this.#store = store;
  }

  /** Undefined for a member. @param peer from a verified certificate */
  revocationOf(peer: PeerIdentity): StoredRevocation | undefined {
    const own = this.#store.read.revocation(peer.nodeId);
    if (own !== undefined || peer.certifiedBy === undefined) return own;
    return this.#store.read.fallenIssuers().find((each) => isIssuer(each, peer.certifiedBy) && !this.#stays(each, peer));
  }

  /** Whether that node stays of those whom that removed issuer certified, whatever a certificate says of it. */
  isKept({ revocation: { fallen } }: StoredRevocation, nodeId: NodeId): boolean {
    return fallen?.kept.includes(nodeId) === true;
  }

  /** By whom it was known as when its issuer was removed. Where the word does not say that (it is of an older version), by whom it is known as here. */
  #stays(word: StoredRevocation, peer: PeerIdentity): boolean {
    const keptAs = this.#keptAsOf(word);
    if (keptAs !== undefined) return keptAs.includes(whoIs(peer));
    if (!this.isKept(word, peer.nodeId)) return false;
    const known = this.#store.read.member(peer.nodeId);
    return known === undefined || (known.owner === peer.owner && known.name === peer.name);
  }

  #keptAsOf({ record }: StoredRevocation): KeptAs | undefined {
    const key = Buffer.from(record.signature).toString('base64');
    const known = this.#keptAs.get(key);
    if (known !== undefined) return known.keptAs;
    const keptAs = keptAsIn(record);
    this.#keptAs.set(key, { keptAs });
    return keptAs;
  }

  /** Whether that issuer was removed: what another made counts more, whatever their times. */
  isFallen(certifiedBy: string | undefined): boolean {
    return certifiedBy !== undefined && this.#store.read.fallenIssuers().some((each) => isIssuer(each, certifiedBy));
  }

  /** Why that certificate counts no more although its node was not removed; undefined when it counts. @param peer from a verified certificate */
  withdrawalOf(peer: PeerIdentity): string | undefined {
    const { read } = this.#store;
    if (peer.certifiedBy === undefined || read.membership()?.authorities === undefined) return undefined;
    const word = withdrawalIn(rootsOf(this.#store).withdrawn, peer.certifiedBy);
    if (word === undefined || word.kept.has(peer.fingerprint ?? '')) return undefined;
    const words = `its certificate is by ${word.name}, which lets nobody in any more by the word of ${word.by}`;
    if (word.isCompromised) return words;
    // The machine is trusted, and may not have heard of it: whom it renewed is who it was, and newcomers are somebody else's to let in.
    const known = read.member(peer.nodeId) ?? (read.membership()?.name === peer.name ? read.membership() : undefined);
    return peer.notBeforeMs <= word.atMs || known?.owner === peer.owner ? undefined : words;
  }

  /** Whether whoever has a certificate by that issuer is to get another, at once. */
  isForsaken(certifiedBy: string | undefined): boolean {
    if (certifiedBy === undefined || this.#store.read.membership() === undefined) return false;
    if (withdrawalIn(rootsOf(this.#store).withdrawn, certifiedBy) !== undefined) return true;
    return this.isFallen(certifiedBy);
  }

  /** Verified already, as far as certificates go. @throws BrokerError `unauthenticated` for one that is no member */
  member(peer: PeerIdentity): PeerIdentity {
    const known = this.revocationOf(peer);
    const why = known === undefined ? this.withdrawalOf(peer) : wordsOf(peer, known);
    if (why !== undefined) throw new BrokerError('unauthenticated', `${peer.name}: ${why}`);
    return peer;
  }

  /** For handshakes. Lets one that was not told yet through to be told. */
  judge(peer: PeerIdentity): string | undefined {
    const known = this.revocationOf(peer);
    if (known === undefined) return this.withdrawalOf(peer);
    return this.#isTold(peer.nodeId) ? wordsOf(peer, known) : undefined;
  }

  /** Why it is none; it need not have been told. */
  refusal(peer: PeerIdentity): string | undefined {
    const known = this.revocationOf(peer);
    return known === undefined ? this.withdrawalOf(peer) : wordsOf(peer, known);
  }

  /** Sessions of members that stay, by certificates that have ceased to count. */
  cutAmong(members: readonly Member[], sessions: readonly { readonly peer: PeerIdentity; readonly cut: (why: string) => void }[]): void {
    const here = new Set(members.filter(belongs).map(({ nodeId }) => nodeId));
    for (const session of sessions) {
      const why = here.has(session.peer.nodeId) ? this.refusal(session.peer) : undefined;
      if (why !== undefined) session.cut(why);
    }
  }

  /** What to say to one that is none; it counts as told from now on. Undefined for a member. */
  tell(peer: PeerIdentity): RemovedPeer | undefined {
    const known = this.revocationOf(peer);
    if (known === undefined) return undefined;
    if (this.#told.size < mostTold) this.#told.add(peer.nodeId);
    return { why: wordsOf(peer, known), revocation: known.record };
  }

  #isTold(nodeId: NodeId): boolean {
    return this.#told.has(nodeId) || this.#told.size >= mostTold;
  }
}

function isIssuer({ revocation: { fallen } }: StoredRevocation, certifiedBy: string | undefined): boolean {
  return fallen !== undefined && authorityName(fallen.issuer) === certifiedBy;
}

function wordsOf({ nodeId }: PeerIdentity, { revocation }: StoredRevocation): string {
  const { name, by, fallen } = revocation;
  if (revocation.nodeId === nodeId) return removedWords(revocation);
  const why = fallen?.kept.includes(nodeId) === true ? 'was not known by that owner and name' : 'is not among those that stay';
  return `it was let in by ${name}, which was removed from the mesh by ${by}, and ${why}`;
}
