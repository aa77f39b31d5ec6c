/** What a TLS handshake comes to, as OpenSSL finds its way from a shown chain to a root that the judge trusts. */
import type { Membership } from '../../src/domain/membership.ts';
import type { PeerIdentity } from '../../src/domain/trust.ts';
import { authoritiesOf } from '../../src/trust/authorities.ts';
import { goodIssuers, parseLeaf, readCertificate, verifyChain } from '../../src/trust/certificate.ts';

/** Who that is to the judge; undefined: nobody. A certificate that has ended counts as it did. */
export function believed(shown: Membership, judge: Membership, nowMs: number): PeerIdentity | undefined {
  const [theirs, roots] = [authoritiesOf(shown.rootDer, shown.authorities), authoritiesOf(judge.rootDer, judge.authorities)];
  const { notAfterMs } = parseLeaf(shown.chain.leaf);
  // Whoever knows only the older root finds its way by the certificate that it gave to the newer.
  const crossed = theirs.crosses.filter((cross) => roots.trusted.some((root) => readCertificate(cross).verify(readCertificate(root).publicKey)));
  const newer = theirs.trusted.filter((root) => crossed.some((cross) => readCertificate(cross).publicKey.equals(readCertificate(root).publicKey)));
  const anchors = { ...roots, trusted: [...roots.trusted, ...newer], issuers: [...roots.issuers, ...goodIssuers(shown.chain.issuer, theirs, notAfterMs)] };
  try {
    return verifyChain(shown.chain, anchors, Math.min(nowMs, notAfterMs));
  } catch {
    return undefined;
  }
}
