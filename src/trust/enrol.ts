/**
 * The joiner's side. Step one asks every address of the token who it is, trusting nobody and telling nothing; what does
 * not lead to the root that the token pins is dropped. Step two, on a new connection that must verify up to that root
 * and be with the issuer's own node, shows the token's secret. So neither a man in the middle, who has no certificate
 * under the root, nor a member that is no issuer ever sees it.
 */
import type { TLSSocket } from 'node:tls';
import { BrokerError, fromInfo, isErrorCode } from '../domain/errors.ts';
import { formatHostPort, type HostPort } from '../domain/host-port.ts';
import type { MeshId, NodeId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import { fingerprintOf, meshIdOf, readCertificate, toPem, verifyChain, verifyIssuer } from './certificate.ts';
import { serverCheck } from './client-tls.ts';
import {
  decodeAdmission,
  decodeIntroduction,
  decodeProblem,
  encodeMessage,
  enrolPath,
  exporterLabel,
  issuerStatement,
  proofOfKey,
  rootPath,
  type AdmissionAnswer,
  type MemberCard,
} from './enrolment-messages.ts';
import { exportKey } from './entrance.ts';
import { exchange, TimedOut, type Detour } from './https-call.ts';
import { verifySignature, type NodeKey } from './node-key.ts';
import { describeServerRefused } from './tls-errors.ts';
import type { Invitation } from './token.ts';

const mostIntroductionBytes = 32 * 1024;
const defaultTimeoutMs = 5000;
const mostAnswerBytes = 16 * 1024 * 1024;

export interface EnrolOptions {
  readonly invitation: Invitation;
  readonly nodeKey: NodeKey;
  /** Wished for; `Admission.identity.name` is the one granted. */
  readonly name: string;
  /** Where this node listens, for the mesh to know; none when left out. */
  readonly addresses?: readonly HostPort[];
  readonly clock: Clock;
  /** For each step at each address; 5 s when left out. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** For addresses that are not reached directly. */
  readonly detour?: Detour;
}

export interface EnrolledMember extends MemberCard {
  readonly identity: PeerIdentity;
}

/** All verified: root against the token, chains against the root, the leaf against this node's key. */
export interface Admission {
  readonly meshId: MeshId;
  readonly meshName: string;
  readonly root: Uint8Array;
  readonly chain: CertificateChain;
  readonly identity: PeerIdentity;
  /** Members whose certificates hold; others are left out. */
  readonly members: readonly EnrolledMember[];
}

/**
 * Joins at the first address that works.
 * @throws BrokerError `denied` when an issuer refuses the token; `unauthenticated` when whoever answers is not the mesh
 * of the token; `unavailable` naming each address and why; the issuer's own error when it found the request wrong.
 */
export async function enrol(options: EnrolOptions): Promise<Admission> {
  const settled = new AbortController();
  const signal = options.signal === undefined ? settled.signal : AbortSignal.any([options.signal, settled.signal]);
  try {
    return await enrolAtFirst({ ...options, signal });
  } catch (error) {
    if (options.signal?.aborted !== true) throw error;
    throw new BrokerError('cancelled', 'joining was cancelled', { cause: error });
  } finally {
    settled.abort();
  }
}

/** Asks all addresses who they are at once, and joins at them one by one, in the order in which they answered. */
async function enrolAtFirst(options: EnrolOptions): Promise<Admission> {
  const failures: Failure[] = [];
  const asking = new Map(
    options.invitation.addresses.map((address, index) => [
      index,
      attempt(address, () => meetIssuer(address, options)).then((outcome) => ({ index, address, outcome })),
    ]),
  );
  while (asking.size > 0) {
    const { index, address, outcome } = await Promise.race(asking.values());
    asking.delete(index);
    const result = outcome.kind === 'done' ? await attempt(address, () => askToJoin(address, outcome.value, options)) : outcome;
    if (result.kind === 'done') return result.value;
    failures.push(result);
  }
  throw failed(failures);
}

interface Done<T> {
  readonly kind: 'done';
  readonly value: T;
}

interface Failure {
  readonly kind: 'failure';
  readonly address: HostPort;
  readonly why: string;
  /** Somebody answered and is not the mesh of the token. */
  readonly isForeign: boolean;
  readonly hint?: string | undefined;
}

/** An answer that is final for this token at any address. */
class Final extends Error {
  readonly error: BrokerError;

  constructor(error: BrokerError) {
    super(error.message);
    this.error = error;
  }
}

async function attempt<T>(address: HostPort, step: () => Promise<T>): Promise<Done<T> | Failure> {
  try {
    return { kind: 'done', value: await step() };
  } catch (error) {
    if (error instanceof Final) throw error.error;
    const refused = describeServerRefused(error);
    const isForeign = refused !== undefined || (error instanceof BrokerError && error.code === 'unauthenticated');
    const hint = /^CERT_(HAS_EXPIRED|NOT_YET_VALID)$/.test(codeOf(error)) ? 'check the clocks of both machines' : undefined;
    return { kind: 'failure', address, why: refused ?? whyOf(error), isForeign, hint };
  }
}

interface KnownIssuer {
  readonly meshId: MeshId;
  readonly root: Uint8Array;
  readonly nodeId: NodeId;
}

async function meetIssuer(address: HostPort, options: EnrolOptions): Promise<KnownIssuer> {
  const { invitation, clock, signal, detour, timeoutMs = defaultTimeoutMs } = options;
  const { status, body } = await exchange({
    address,
    // Nothing is believed and nothing is told here: fingerprint and signatures decide.
    tls: { rejectUnauthorized: false, checkServerIdentity: () => undefined },
    method: 'GET',
    path: rootPath,
    mostBytes: mostIntroductionBytes,
    timeoutMs,
    clock,
    signal,
    detour,
  });
  // Whoever answers is a stranger still: of what it says only the status is repeated.
  if (status !== 200) throw new Error(`asked who it is, it answered with HTTP status ${status}`);
  const { root, issuer, nodeId, attestation } = decodeIntroduction(body);
  if (!Buffer.from(fingerprintOf(root)).equals(invitation.rootFingerprint)) {
    throw new BrokerError('unauthenticated', 'who answers there is not the mesh of this token');
  }
  const meshId = meshIdOf(readCertificate(root));
  const issuerKey = verifyIssuer(issuer, root, clock.now());
  if (!verifySignature(issuerKey, issuerStatement(meshId, nodeId), attestation)) {
    throw new BrokerError('unauthenticated', 'the node that answers there is no issuer of the mesh');
  }
  return { meshId, root, nodeId };
}

async function askToJoin(address: HostPort, known: KnownIssuer, options: EnrolOptions): Promise<Admission> {
  const { invitation, nodeKey, name, addresses = [], clock, signal, detour, timeoutMs = defaultTimeoutMs } = options;
  const { meshId, root, nodeId } = known;
  const message = (socket: TLSSocket): string => {
    const channel = exportKey(socket, exporterLabel);
    const proof = nodeKey.sign(proofOfKey({ meshId, name, publicKey: nodeKey.publicKey, channel }));
    return encodeMessage({ secret: invitation.secret, publicKey: nodeKey.publicKey, name, addresses, proof });
  };
  const { status, body } = await exchange({
    address,
    tls: { ca: toPem(root), rejectUnauthorized: true, checkServerIdentity: serverCheck(meshId, { nodeId }) },
    method: 'POST',
    path: enrolPath,
    body: message,
    mostBytes: mostAnswerBytes,
    timeoutMs,
    clock,
    signal,
    detour,
  });
  if (status !== 200) throw problemOf(status, body);
  return admissionOf(decodeAdmission(body), root, options);
}

function admissionOf(answer: AdmissionAnswer, root: Uint8Array, { nodeKey, clock }: EnrolOptions): Admission {
  const nowMs = clock.now();
  if (!Buffer.from(answer.root).equals(root)) throw new BrokerError('unauthenticated', 'it answered with another root');
  const identity = verifyChain(answer.chain, root, nowMs);
  if (identity.nodeId !== nodeKey.nodeId) throw new BrokerError('unauthenticated', 'it certified another key');
  const members = answer.members.flatMap((card): EnrolledMember[] => {
    try {
      return [{ ...card, identity: verifyChain(card.chain, root, nowMs) }];
    } catch (error) {
      // One member whose certificate ended must not keep this node out: it is not believed, that is all.
      if (error instanceof BrokerError) return [];
      throw error;
    }
  });
  return { meshId: identity.meshId, meshName: answer.meshName, root, chain: answer.chain, identity, members };
}

/** Codes that say something about the node asked, so that another address may do better. */
const codesOfTheNode: ReadonlySet<string> = new Set(['unavailable', 'overload', 'internal', 'deadline', 'not_found']);

function problemOf(status: number, body: Uint8Array): Error {
  const problem = decodeProblem(body);
  if (problem === undefined || !isErrorCode(problem.code)) return new Error(`it answered with HTTP status ${status}`);
  const error = fromInfo(problem);
  return codesOfTheNode.has(error.code) ? error : new Final(error);
}

function failed(failures: readonly Failure[]): BrokerError {
  const list = failures.map(({ address, why }) => `${formatHostPort(address)}: ${why}`).join('; ');
  const hint = failures.find((each) => each.hint !== undefined)?.hint;
  if (failures.length > 0 && failures.every(({ isForeign }) => isForeign)) {
    return new BrokerError('unauthenticated', `not joined: ${list}`, {
      hint: hint ?? 'another mesh, or somebody in the middle, answers there; make a new token on a node of the mesh',
    });
  }
  return new BrokerError('unavailable', `not joined; no address of the token worked: ${list}`, {
    hint: hint ?? 'check that the node that made the token is up and can be reached from here',
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function whyOf(error: unknown): string {
  if (error instanceof TimedOut || error instanceof BrokerError) return error.message;
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no such host';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'it cannot be reached from here';
    case 'ECONNRESET':
      return 'it closed the connection';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
