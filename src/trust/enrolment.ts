/**
 * The issuer's side of joining. Order matters: the desk is asked what the token grants (nothing changes), the
 * certificate is signed, and only then the desk commits token use, member and certificate in one transaction; the answer
 * leaves after that. A crash before the commit leaves the token good; one after it leaves a member that can ask again.
 */
import { BrokerError, notFound } from '../domain/errors.ts';
import { formatHostPort, parseHostPort, type HostPort } from '../domain/host-port.ts';
import { nodeIdOfPublicKey, type NodeId } from '../domain/ids.ts';
import { parseName } from '../domain/name.ts';
import type { Clock } from '../domain/ports.ts';
import type { TailnetIdentity } from '../domain/tailnet.ts';
import type { CertificateChain } from '../domain/trust.ts';
import { decodeApplication, decodeEnrolRequest, encodeMessage, enrolmentPaths, type Advice, type Application, type MemberCard } from './enrolment-messages.ts';
import { exporterLabel, issuerStatement, proofOfIssuerKey, proofOfKey } from './enrolment-proofs.ts';
import type { EntranceHandler, EntranceReply, EntranceRequest } from './entrance.ts';
import { after } from './issue.ts';
import type { Issuer } from './mesh-authority.ts';
import { verifySignature } from './node-key.ts';
import { serveRenewal, type RenewalDesk } from './renewal.ts';
import { hashOfSecret } from './token.ts';

/** A node that proved it holds its key. */
export interface Applicant {
  readonly nodeId: NodeId;
  readonly publicKey: Uint8Array;
  /** A legal node name, as wished for. */
  readonly name: string;
  /** Where it says it listens. Proves nothing. */
  readonly addresses: readonly HostPort[];
  /** host:port */
  readonly remoteAddress: string;
  /** What lets it in: the token's secret as `hashOfSecret` has it, or who it is by the word of the tailnet. */
  readonly by: { readonly secretHash: string } | { readonly identity: TailnetIdentity };
}

export interface Grant {
  /** The name that it gets; the desk decides what happens when another node holds the one it wished for. */
  readonly name: string;
  readonly owner: string;
  /** It is to let others in too, if it wants to and this node can make it an issuer. */
  readonly isIssuer?: boolean;
  /** It was a member before, by a certificate in force since then: the new one has to come later, to be believed. */
  readonly laterThanMs?: number;
}

/**
 * Who may join, from the store. For a token that is unknown, used or late both throw BrokerError `denied`. The same
 * node with the same secret may be granted again, for one whose answer got lost on the way.
 */
export interface EnrolmentDesk {
  /**
   * What the applicant would get. Changes nothing, but that one who has to wait is remembered as waiting.
   * @throws BrokerError `denied`, saying why
   */
  quote(applicant: Applicant): Promise<Grant>;
  /** What an application of that machine would lead to. */
  advise(identity: TailnetIdentity): Promise<Advice>;
  /**
   * Durable when it resolves: token used, member and certificate recorded, in one transaction that checks the token
   * again. BrokerError `conflict` when the grant no longer holds (the name was taken meanwhile): it is quoted anew.
   */
  admit(applicant: Applicant, grant: Grant, chain: CertificateChain, issuerCertificate: Uint8Array | undefined): Promise<Welcome>;
}

export interface Welcome {
  readonly meshName: string;
  /** The roster, the new member included or not. */
  readonly members: readonly MemberCard[];
}

export interface EnrolmentOptions {
  readonly clock: Clock;
  /** This node's own. */
  readonly nodeId: NodeId;
  /** undefined while this node issues nothing. */
  readonly issuer: () => Issuer | undefined;
  readonly desk: EnrolmentDesk;
  readonly renew: RenewalDesk;
  /** @throws BrokerError `denied` or `unavailable`, for a connection of which nobody can say who it is */
  readonly identify: (request: Pick<EntranceRequest, 'remoteAddress' | 'localAddress'>) => Promise<TailnetIdentity>;
}

const mostTries = 3;

/** Who proved its key and was refused with that error. */
const refused = new WeakMap<object, { readonly nodeId: NodeId; readonly name: string }>();

export function applicantOf(error: unknown): { readonly nodeId: NodeId; readonly name: string } | undefined {
  return typeof error === 'object' && error !== null ? refused.get(error) : undefined;
}

/** Serves `GET /v1/root`, `GET /v1/ask`, `POST /v1/enrol`, `POST /v1/apply` and `POST /v1/renew`; all else is `not_found`. */
export function enrolmentHandler(options: EnrolmentOptions): EntranceHandler {
  return async (request) => {
    const issuer = options.issuer();
    if (issuer === undefined) {
      throw new BrokerError('unavailable', 'this node is no issuer', { hint: 'join at a node that can let others in: the one that made the token, say' });
    }
    if (request.method === 'GET' && request.path === enrolmentPaths.root) {
      return introduce(issuer, options.nodeId);
    }
    if (request.method === 'GET' && request.path === enrolmentPaths.ask) return json(await options.desk.advise(await options.identify(request)));
    if (request.method === 'POST' && request.path === enrolmentPaths.enrol) {
      const { secret, ...application } = decodeEnrolRequest(request.body);
      return enrolNode(request, application, { secretHash: hashOfSecret(secret) }, issuer, options);
    }
    if (request.method === 'POST' && request.path === enrolmentPaths.apply) {
      const application = decodeApplication(request.body);
      return enrolNode(request, application, { identity: await options.identify(request) }, issuer, options);
    }
    if (request.method === 'POST' && request.path === enrolmentPaths.renew) return serveRenewal(request, issuer, options.renew);
    throw notFound('there is nothing here');
  };
}

function introduce(issuer: Issuer, nodeId: NodeId): EntranceReply {
  const { root, certificate, meshId } = issuer;
  const attestation = issuer.sign(issuerStatement(meshId, nodeId));
  return json({ root, issuer: certificate, nodeId, attestation });
}

function json(message: object): EntranceReply {
  return { contentType: 'application/json', body: encodeMessage(message) };
}

async function enrolNode(request: EntranceRequest, application: Application, by: Applicant['by'], issuer: Issuer, options: EnrolmentOptions): Promise<EntranceReply> {
  const { clock, desk } = options;
  const { publicKey, name, proof, addresses, issuerKey } = application;
  const channel = request.exportKey(exporterLabel);
  const signed = proofOfKey({ meshId: issuer.meshId, name, publicKey, channel });
  if (!verifySignature(publicKey, signed, proof)) {
    throw new BrokerError('unauthenticated', 'the applicant did not prove that it holds its key');
  }
  if (issuerKey !== undefined) {
    const statement = proofOfIssuerKey({ meshId: issuer.meshId, nodeKey: publicKey, publicKey: issuerKey.publicKey, channel });
    if (!verifySignature(issuerKey.publicKey, statement, issuerKey.proof)) {
      throw new BrokerError('unauthenticated', 'the applicant did not prove that it holds the key that it would issue with');
    }
  }
  const applicant: Applicant = {
    nodeId: nodeIdOfPublicKey(publicKey),
    publicKey,
    name: parseName(name),
    addresses: addresses.map((each) => parseHostPort(formatHostPort(each))),
    remoteAddress: request.remoteAddress,
    by,
  };
  for (let tries = 1; ; tries += 1) {
    try {
      const grant = await desk.quote(applicant);
      const chain = await issuer.issue({ publicKey, name: grant.name, owner: grant.owner }, after(grant.laterThanMs, clock.now()));
      const wanted = grant.isIssuer === true ? issuerKey : undefined;
      const issuerCertificate = wanted === undefined ? undefined : await issuer.certifyIssuer(wanted.publicKey, clock.now());
      const { meshName, members } = await desk.admit(applicant, grant, chain, issuerCertificate);
      return json({ meshName, root: issuer.root, chain, members, ...(issuerCertificate === undefined ? {} : { issuerCertificate }) });
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      if (error.code === 'conflict' && tries < mostTries) continue;
      // One answer for unknown, used and late: a stranger learns nothing about tokens.
      const said = 'secretHash' in by && (error.code === 'denied' || error.code === 'not_found') ? tokenDenied(error) : error;
      refused.set(said, { nodeId: applicant.nodeId, name: applicant.name });
      throw said;
    }
  }
}

function tokenDenied(cause: BrokerError): BrokerError {
  return new BrokerError('denied', 'the token is not valid here: wrong, used or out of date', {
    hint: 'ask for a new one: beckon mesh invite',
    cause,
  });
}
