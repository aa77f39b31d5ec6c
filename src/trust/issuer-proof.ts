/** That a node lets others in, for other members to check. */
import { BrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import type { IssuerProof } from '../domain/trust.ts';
import { meshIdOf, readCertificate, verifyIssuer } from './certificate.ts';
import { issuerStatement } from './enrolment-proofs.ts';
import type { Issuer } from './mesh-authority.ts';
import { verifySignature } from './node-key.ts';

export function issuerProofOf(issuer: Issuer | undefined, nodeId: NodeId): IssuerProof | undefined {
  if (issuer === undefined) return undefined;
  return { certificate: issuer.certificate, attestation: issuer.sign(issuerStatement(issuer.meshId, nodeId)) };
}

/** Never throws: what proves nothing is false. */
export function provesIssuer(nodeId: NodeId, { certificate, attestation }: IssuerProof, root: Uint8Array, nowMs: number): boolean {
  try {
    return verifySignature(verifyIssuer(certificate, root, nowMs), issuerStatement(meshIdOf(readCertificate(root)), nodeId), attestation);
  } catch (error) {
    if (error instanceof BrokerError) return false;
    throw error;
  }
}
