/** That a node lets others in, for other members to check. */
import { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { withdrawalIn } from '../domain/trust.ts';
import type { IssuerProof } from '../domain/trust.ts';
import { authorityName, rootSet, verifyIssuer, type Roots } from './certificate.ts';
import { issuerStatement } from './enrolment-proofs.ts';
import type { Issuer } from './mesh-authority.ts';
import { verifySignature } from './node-key.ts';

export function issuerProofOf(issuer: Issuer | undefined, nodeId: NodeId): IssuerProof | undefined {
  if (issuer === undefined) return undefined;
  return { certificate: issuer.certificate, attestation: issuer.sign(issuerStatement(issuer.meshId, nodeId)) };
}

/** Never throws: what proves nothing is false. */
export function provesIssuer(nodeId: NodeId, { certificate, attestation }: IssuerProof, roots: Roots, nowMs: number): boolean {
  try {
    if (withdrawalIn(rootSet(roots).withdrawn, authorityName(certificate)) !== undefined) return false;
    return verifySignature(verifyIssuer(certificate, roots, nowMs), issuerStatement(rootSet(roots).meshId, nodeId), attestation);
  } catch (error) {
    if (error instanceof BrokerError) return false;
    throw error;
  }
}
