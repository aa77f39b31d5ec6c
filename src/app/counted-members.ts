/**
 * Whether the certificate by which a member is known counts: it leads to a root that is trusted, and no word on its issuer is against it. Sessions are judged by
 * the certificate that is shown (`standing.ts`); gossip and the registry, which hear of nodes through others, by the one that is stored.
 *
 * They ask with each word of a member, so a verdict is kept until that certificate is another, or what it was judged by: roots, words on
 * issuers, issuers that were removed. It does not depend on the time: all nodes that know the same come to the same.
 */
import { BrokerError } from '../domain/errors.ts';
import { asMeshId, publicKeyOfNodeId } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import type { StoredRevocation } from '../domain/revocation.ts';
import type { Member, Membership, Store } from '../domain/store-port.ts';
import type { CertificateChain } from '../domain/trust.ts';
import { authorityName, fingerprintText, goodTimes, lifeIn, readCertificate } from '../trust/certificate.ts';
import type { Life } from '../trust/certificate.ts';
import { rootsOf } from './node-self.ts';
import type { Standing } from './standing.ts';

/** As it is stored. */
type CertifiedMember = Pick<Member, 'nodeId' | 'name' | 'owner' | 'namedSinceMs' | 'chain'>;

interface Verdict {
  readonly chain: CertificateChain;
  readonly counts: boolean;
}

interface IssuerKnown {
  /** As of a leaf that it signed. */
  readonly certifies: string;
  readonly times: readonly Life[];
}

export class CountedMembers {
  readonly #store: Pick<Store, 'read'>;
  readonly #standing: Pick<Standing, 'refusal'>;
  readonly #verdicts = new Map<NodeId, Verdict>();
  /** By fingerprint: there are few, and each signed many. */
  readonly #issuers = new Map<string, IssuerKnown>();
  #judgedBy: { readonly membership: Membership | undefined; readonly fallen: readonly StoredRevocation[] } = { membership: undefined, fallen: [] };

  constructor(store: Pick<Store, 'read'>, standing: Pick<Standing, 'refusal'>) {
    this.#store = store;
    this.#standing = standing;
  }

  /** Whether it left or was removed itself is not asked here. */
  counts(member: CertifiedMember): boolean {
    const mesh = this.#meshWithDoubts();
    if (mesh === undefined) return true;
    const { nodeId, chain } = member;
    const known = this.#verdicts.get(nodeId);
    if (known !== undefined && isSameChain(known.chain, chain)) return known.counts;
    const counts = this.#judge(member, mesh);
    this.#verdicts.set(nodeId, { chain, counts });
    return counts;
  }

  /** Undefined where there is one root only and no issuer was removed: all that was believed once still is. */
  #meshWithDoubts(): Membership | undefined {
    const { read } = this.#store;
    const now = { membership: read.membership(), fallen: read.fallenIssuers() };
    const before = this.#judgedBy;
    // The store gives the same until something of it was written.
    if (now.membership !== before.membership || now.fallen !== before.fallen) {
      if (!isSameMesh(now.membership, before.membership) || !isSameFallen(now.fallen, before.fallen)) {
        this.#verdicts.clear();
        this.#issuers.clear();
      }
      this.#judgedBy = now;
    }
    return now.membership?.authorities !== undefined || now.fallen.length > 0 ? now.membership : undefined;
  }

  #judge({ nodeId, name, owner, namedSinceMs, chain }: CertifiedMember, { meshId }: Membership): boolean {
    try {
      const { certifies, times } = this.#issuerOf(chain.issuer);
      // Who it says that its node is was read when it came, and its issuer's signature verified: that costs most, and does not change.
      const leaf = readCertificate(chain.leaf);
      const life = lifeIn(leaf);
      // As of its end, as it is recognised after that: so no clock has a say.
      if (!times.some(({ notBeforeMs, notAfterMs }) => notBeforeMs <= life.notAfterMs && life.notAfterMs <= notAfterMs)) return false;
      const said = { meshId: asMeshId(meshId), nodeId, name, owner, ...(namedSinceMs === undefined ? {} : { namedSinceMs }), publicKey: publicKeyOfNodeId(nodeId), serial: leaf.serialNumber, ...life };
      return this.#standing.refusal({ ...said, certifiedBy: certifies, fingerprint: fingerprintText(chain.leaf) }) === undefined;
    } catch (error) {
      if (error instanceof BrokerError) return false;
      throw error;
    }
  }

  #issuerOf(der: Uint8Array): IssuerKnown {
    const fingerprint = fingerprintText(der);
    const known = this.#issuers.get(fingerprint) ?? { certifies: authorityName(der), times: goodTimes(der, rootsOf(this.#store)) };
    this.#issuers.set(fingerprint, known);
    return known;
  }
}

function isSameChain(a: CertificateChain, b: CertificateChain): boolean {
  return a === b || (isSame(a.leaf, b.leaf) && isSame(a.issuer, b.issuer));
}

function isSameMesh(a: Membership | undefined, b: Membership | undefined): boolean {
  return a?.meshId === b?.meshId && isSame(a?.authorities, b?.authorities);
}

function isSameFallen(a: readonly StoredRevocation[], b: readonly StoredRevocation[]): boolean {
  return a.length === b.length && a.every(({ record }, index) => isSame(record.payload, b[index]?.record.payload));
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0);
}
