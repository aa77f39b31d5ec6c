/** Who is a member and who lets others in, by the certificates of this node's mesh, as the core asks for it. */
import type { BrokerParts } from '../broker/broker-parts.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import { lifeOf, parseLeaf, recogniseChain, verifyChain } from '../trust/certificate.ts';
import { issuerProofOf } from '../trust/issuer-proof.ts';
import { createRevocationSeal } from '../trust/revocation.ts';
import { CountedMembers } from './counted-members.ts';
import type { MeshMembership } from './membership.ts';
import { rootsOf } from './node-self.ts';
import type { Standing } from './standing.ts';

export type TrustPorts = Pick<BrokerParts, 'certificateEnd' | 'verify' | 'recognise' | 'readLeaf' | 'issuerProof' | 'isIssuer' | 'certify' | 'revocations' | 'counts'>;

export interface TrustPortsParts {
  readonly store: Store;
  readonly standing: Standing;
  readonly membership: MeshMembership;
  readonly nodeId: NodeId;
  readonly clock: Clock;
}

export function trustPorts({ store, standing, membership, nodeId, clock }: TrustPortsParts): TrustPorts {
  const counted = new CountedMembers(store, standing);
  return {
    counts: (member) => counted.counts(member),
    certificateEnd: (leaf) => lifeOf(leaf).notAfterMs,
    verify: (chain) => standing.member(verifyChain(chain, rootsOf(store), clock.now())),
    recognise: (chain) => standing.member(recogniseChain(chain, rootsOf(store), clock.now())),
    readLeaf: parseLeaf,
    issuerProof: () => issuerProofOf(membership.issuer, nodeId),
    isIssuer: (other, proof) => standing.provesIssuer(other, proof, clock.now()),
    certify: (wish) => membership.certify(wish),
    revocations: createRevocationSeal({ issuer: () => membership.issuer, roots: () => (store.read.membership() === undefined ? undefined : rootsOf(store)), clock }),
  };
}
