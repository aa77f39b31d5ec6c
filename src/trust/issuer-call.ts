/**
 * What a joiner asks of an issuer. Who it is comes first, believing nobody and telling nothing; what leads to no root is an
 * error. All else goes over connections that verify up to that root and are with the issuer's own node.
 */
import type { KeyObject } from 'node:crypto';
import { sign } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { BrokerError, fromInfo, isErrorCode } from '../domain/errors.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import { rootsShown } from './authorities.ts';
import { toPem, verifyChain, verifyIssuer, type RootSet } from './certificate.ts';
import { serverCheck } from './client-tls.ts';
import { decodeAdmission, decodeAdvice, decodeIntroduction, decodeProblem, encodeMessage, enrolmentPaths, type AdmissionAnswer, type Advice, type MemberCard } from './enrolment-messages.ts';
import { exporterLabel, issuerStatement, proofOfIssuerKey, proofOfKey } from './enrolment-proofs.ts';
import { exportKey } from './entrance.ts';
import { exchange, type Answer, type Detour, type Exchange } from './https-call.ts';
import { rawPublicKey, verifySignature, type NodeKey } from './node-key.ts';

const mostIntroductionBytes = 128 * 1024;
const mostAnswerBytes = 16 * 1024 * 1024;
const defaultTimeoutMs = 5000;

export interface IssuerCall {
  readonly clock: Clock;
  /** Of each call; 5 s when left out. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** For addresses that are not reached directly. */
  readonly detour?: Detour;
  /** Of this machine: the connection has to come from there. */
  readonly localAddress?: string;
}

/** A node that proved to be an issuer of the mesh of that root. Whether that is a mesh to be in is for the caller to say. */
export interface KnownIssuer {
  readonly address: HostPort;
  readonly meshId: MeshId;
  /** That it is spoken to by. */
  readonly root: Uint8Array;
  /** Of its mesh, as it shows them. */
  readonly roots: RootSet;
  /** What proves them, where there is more than one. */
  readonly authorities?: Uint8Array;
  readonly nodeId: NodeId;
}

/** What one that answers shows of its mesh: nothing of it is judged yet. */
export interface ShownRoots {
  readonly first: Uint8Array;
  readonly authorities: Uint8Array | undefined;
}

/** @throws BrokerError `unauthenticated` when it is no issuer; any error of the connection */
export async function meetIssuer(address: HostPort, call: IssuerCall, isWanted: (root: Uint8Array, shown: ShownRoots) => boolean = () => true): Promise<KnownIssuer> {
  const { status, body } = await send(address, call, {
    // Nothing is believed and nothing is told here: fingerprint and signatures decide.
    tls: { rejectUnauthorized: false, checkServerIdentity: () => undefined },
    method: 'GET',
    path: enrolmentPaths.root,
    mostBytes: mostIntroductionBytes,
  });
  // Whoever answers is a stranger still: of what it says only the status is repeated.
  if (status !== 200) throw new Error(`asked who it is, it answered with HTTP status ${status}`);
  const { root, issuer, nodeId, attestation, first = root, authorities } = decodeIntroduction(body);
  if (!isWanted(root, { first, authorities })) throw new BrokerError('unauthenticated', 'who answers there is not the mesh of this token');
  const roots = rootsShown(first, authorities, root);
  const { meshId } = roots;
  const issuerKey = verifyIssuer(issuer, root, call.clock.now());
  if (!verifySignature(issuerKey, issuerStatement(meshId, nodeId), attestation)) {
    throw new BrokerError('unauthenticated', 'the node that answers there is no issuer of the mesh');
  }
  return { address, meshId, root, roots, nodeId, ...(authorities === undefined ? {} : { authorities }) };
}

/** What it would say to this machine. @throws IssuerRefusal with its own words; any error of the connection */
export async function askIssuer(known: KnownIssuer, call: IssuerCall): Promise<Advice> {
  const { status, body } = await send(known.address, call, { tls: tlsOf(known), method: 'GET', path: enrolmentPaths.ask, mostBytes: mostIntroductionBytes });
  if (status !== 200) throw problemOf(status, body);
  return decodeAdvice(body);
}

export interface Wish {
  readonly nodeKey: NodeKey;
  /** Wished for; `Admission.identity.name` is the one granted. */
  readonly name: string;
  /** Where this node listens, for the mesh to know; none when left out. */
  readonly addresses?: readonly HostPort[];
  /** Of an invitation; without it the word of the tailnet has to do. */
  readonly secret?: Uint8Array;
  /** A key to issue with in that mesh, should the issuer want that; see `wishIssuerKey`. */
  readonly issuerKey?: (meshId: MeshId) => Promise<KeyObject>;
}

export interface EnrolledMember extends MemberCard {
  readonly identity: PeerIdentity;
}

/** All verified: chains against the root, the leaf against this node's key. */
export interface Admission {
  readonly meshId: MeshId;
  readonly meshName: string;
  /** The first, which the mesh's id is made of. */
  readonly root: Uint8Array;
  readonly authorities?: Uint8Array;
  readonly chain: CertificateChain;
  readonly identity: PeerIdentity;
  /** This node may let others in, with this key. */
  readonly issuer?: { readonly certificate: Uint8Array; readonly key: KeyObject };
  /** Members whose certificates hold; others are left out. */
  readonly members: readonly EnrolledMember[];
}

/** @throws IssuerRefusal when it does not let this node in; `unauthenticated` for a wrong answer; any error of the connection */
export async function askToJoin(known: KnownIssuer, wish: Wish, call: IssuerCall): Promise<Admission> {
  const { meshId } = known;
  const { nodeKey, name, addresses = [], secret } = wish;
  const issuerKey = await wish.issuerKey?.(meshId);
  const message = (socket: TLSSocket): string => {
    const channel = exportKey(socket, exporterLabel);
    const proof = nodeKey.sign(proofOfKey({ meshId, name, publicKey: nodeKey.publicKey, channel }));
    return encodeMessage({
      publicKey: nodeKey.publicKey,
      name,
      addresses,
      proof,
      ...(secret === undefined ? {} : { secret }),
      ...(issuerKey === undefined ? {} : { issuerKey: issuerWish(issuerKey, meshId, nodeKey.publicKey, channel) }),
    });
  };
  const { status, body } = await send(known.address, call, {
    tls: tlsOf(known),
    method: 'POST',
    path: secret === undefined ? enrolmentPaths.apply : enrolmentPaths.enrol,
    body: message,
    mostBytes: mostAnswerBytes,
  });
  if (status !== 200) throw problemOf(status, body);
  return admissionOf(decodeAdmission(body), known, nodeKey, issuerKey, call.clock.now());
}

/** An answer that an issuer gave in words: it understood, and does not want. */
export class IssuerRefusal extends Error {
  readonly error: BrokerError;

  constructor(error: BrokerError) {
    super(error.message);
    this.error = error;
  }
}

function issuerWish(key: KeyObject, meshId: MeshId, nodeKey: Uint8Array, channel: Uint8Array): object {
  const publicKey = rawPublicKey(key);
  return { publicKey, proof: new Uint8Array(sign(null, proofOfIssuerKey({ meshId, nodeKey, publicKey, channel }), key)) };
}

function admissionOf(answer: AdmissionAnswer, { root, roots, authorities }: KnownIssuer, nodeKey: NodeKey, issuerKey: KeyObject | undefined, nowMs: number): Admission {
  if (!Buffer.from(answer.root).equals(root)) throw new BrokerError('unauthenticated', 'it answered with another root');
  const identity = verifyChain(answer.chain, roots, nowMs);
  if (identity.nodeId !== nodeKey.nodeId) throw new BrokerError('unauthenticated', 'it certified another key');
  const { issuerCertificate: certificate } = answer;
  if (certificate !== undefined) {
    const certified = verifyIssuer(certificate, roots, nowMs);
    if (issuerKey === undefined || !Buffer.from(certified).equals(rawPublicKey(issuerKey))) throw new BrokerError('unauthenticated', 'it certified another key to issue with');
  }
  const issuer = certificate === undefined || issuerKey === undefined ? {} : { issuer: { certificate, key: issuerKey } };
  const members = answer.members.flatMap((card): EnrolledMember[] => {
    try {
      return [{ ...card, identity: verifyChain(card.chain, roots, nowMs) }];
    } catch (error) {
      // One member whose certificate ended must not keep this node out: it is not believed, that is all.
      if (error instanceof BrokerError) return [];
      throw error;
    }
  });
  const { meshName, chain } = answer;
  return { meshId: identity.meshId, meshName, root: roots.first, ...(authorities === undefined ? {} : { authorities }), chain, identity, ...issuer, members };
}

/** Over a connection that verifies up to its root and is with that issuer. */
export function sendTo(known: KnownIssuer, call: IssuerCall, what: Pick<Exchange, 'method' | 'path' | 'body' | 'mostBytes'>): Promise<Answer> {
  return send(known.address, call, { tls: tlsOf(known), ...what });
}

function tlsOf({ meshId, root, nodeId }: KnownIssuer): Exchange['tls'] {
  return { ca: toPem(root), rejectUnauthorized: true, checkServerIdentity: serverCheck(meshId, { nodeId }) };
}

function send(address: HostPort, call: IssuerCall, what: Pick<Exchange, 'tls' | 'method' | 'path' | 'body' | 'mostBytes'>): Promise<Answer> {
  const { clock, timeoutMs = defaultTimeoutMs, signal, detour, localAddress } = call;
  return exchange({ ...what, address, clock, timeoutMs, signal, detour, localAddress });
}

/** Codes that say something about the node asked, so that another address may do better. */
const codesOfTheNode: ReadonlySet<string> = new Set(['unavailable', 'overload', 'internal', 'deadline', 'not_found']);

/** What an answer of another status than 200 says. */
export function problemOf(status: number, body: Uint8Array): Error {
  const problem = decodeProblem(body);
  if (problem === undefined || !isErrorCode(problem.code)) return new Error(`it answered with HTTP status ${status}`);
  const error = fromInfo(problem);
  return codesOfTheNode.has(error.code) ? error : new IssuerRefusal(error);
}
