/**
 * Renewing at an issuer's entrance, both sides: for a node whose certificate has ended, which therefore has no session. It shows
 * no certificate in the handshake; the ended one is in the request, with a proof of its key that is bound to this one connection.
 */
import { BrokerError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { CertificateChain } from '../domain/trust.ts';
import { parseLeaf, verifyChain } from './certificate.ts';
import { decodeRenewalAnswer, decodeRenewalRequest, encodeMessage, enrolmentPaths } from './enrolment-messages.ts';
import { exporterLabel, proofForRenewal } from './enrolment-proofs.ts';
import { exportKey } from './entrance.ts';
import type { EntranceReply, EntranceRequest } from './entrance.ts';
import { problemOf, sendTo, type IssuerCall, type KnownIssuer } from './issuer-call.ts';
import type { Issuer } from './mesh-authority.ts';
import { verifySignature, type NodeKey } from './node-key.ts';

const mostAnswerBytes = 512 * 1024;

/** Another certificate, or the word that it is a member no longer, with proof. */
export type RenewalVerdict = { readonly chain: CertificateChain } | { readonly revocation: SignedRecord };

/** @throws BrokerError for one that gets none, to be told as it is */
export type RenewalDesk = (chain: CertificateChain, askerNowMs: number, remoteAddress?: string) => Promise<RenewalVerdict>;

/** @throws BrokerError `invalid`, `unauthenticated`, or the desk's own */
export async function serveRenewal(request: EntranceRequest, issuer: Issuer, desk: RenewalDesk): Promise<EntranceReply> {
  const { chain, nowMs, proof } = decodeRenewalRequest(request.body);
  // What it claims is the desk's to judge; that it holds the key is known here.
  const { publicKey } = parseLeaf(chain.leaf);
  const signed = proofForRenewal({ meshId: issuer.meshId, leaf: chain.leaf, nowMs, channel: request.exportKey(exporterLabel) });
  if (!verifySignature(publicKey, signed, proof)) throw new BrokerError('unauthenticated', 'who asks did not prove that it holds the key of that certificate');
  return { contentType: 'application/json', body: encodeMessage(await desk(chain, nowMs, request.remoteAddress)) };
}

/** @throws IssuerRefusal in its own words; `unauthenticated` for a wrong answer; any error of the connection */
export async function askToRenew(known: KnownIssuer, { nodeKey, chain }: { readonly nodeKey: NodeKey; readonly chain: CertificateChain }, call: IssuerCall & { readonly clock: Clock }): Promise<RenewalVerdict> {
  const { status, body } = await sendTo(known, call, {
    method: 'POST',
    path: enrolmentPaths.renew,
    body: (socket) => {
      const nowMs = call.clock.now();
      const proof = nodeKey.sign(proofForRenewal({ meshId: known.meshId, leaf: chain.leaf, nowMs, channel: exportKey(socket, exporterLabel) }));
      return encodeMessage({ chain, nowMs, proof });
    },
    mostBytes: mostAnswerBytes,
  });
  if (status !== 200) throw problemOf(status, body);
  const verdict = decodeRenewalAnswer(body);
  if ('revocation' in verdict) return verdict;
  if (verifyChain(verdict.chain, known.root, call.clock.now()).nodeId !== nodeKey.nodeId) throw new BrokerError('unauthenticated', 'it certified another key');
  return verdict;
}
