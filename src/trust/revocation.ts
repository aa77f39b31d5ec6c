/** Signing a node out of the mesh, and judging such a word. */
import { createHash } from 'node:crypto';
import { BrokerError, unavailable } from '../domain/errors.ts';
import { isNodeId } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Clock, RevocationSeal } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import { namedSince } from '../domain/name-holder.ts';
import { mostKept } from '../domain/revocation.ts';
import type { KeptAs, Revocation } from '../domain/revocation.ts';
import { withdrawalIn } from '../domain/trust.ts';
import type { CertificateChain, PeerIdentity } from '../domain/trust.ts';
import { wordsOf } from '../domain/system-error.ts';
import { Revocation as Wire } from '../gen/beckon/v1/membership.ts';
import { authorityName, keyIn, parseLeaf, readCertificate, rootSet, verifyIssuerOnce, type Roots } from './certificate.ts';
import type { Issuer } from './mesh-authority.ts';
import { rawPublicKey, verifySignature } from './node-key.ts';

const longestRecord = 256 * 1024;
/** Of one that names the node alone. */
const longestPlain = 4 * 1024;
const longestText = 200;
const digestBytes = 32;

export interface RevocationSealParts {
  /** Undefined: this node is none. */
  readonly issuer: () => Issuer | undefined;
  /** Undefined: this node is in no mesh. */
  readonly roots: () => Roots | undefined;
  readonly clock: Clock;
}

export function createRevocationSeal({ issuer, roots, clock }: RevocationSealParts): RevocationSeal {
  const open = (record: SignedRecord): Revocation => {
    const known = roots();
    if (known === undefined) throw refused('this node is in no mesh');
    return openRevocation(record, known);
  };
  return {
    seal: (revocation) => {
      const own = issuer();
      if (own === undefined) return undefined;
      const record = signRevocation(own, revocation);
      try {
        open(record);
      } catch (error) {
        throw unavailable(`others would not believe what this node signs now: ${wordsOf(error)}`, `set this machine’s clock: it says ${new Date(clock.now()).toISOString()}`);
      }
      return record;
    },
    open,
    nodeIn: ({ payload }) => nodeOf(decode(checked(payload))),
    isBy: ({ issuer: by }: CertificateChain, other) => authorityName(by) === authorityName(other),
    whoIs: ({ leaf }) => whoIs(parseLeaf(leaf)),
    isIssuer: (certified) => {
      const known = roots();
      return known !== undefined && isIssuerAt(certified, known, clock.now());
    },
    keyOf: (certified) => Buffer.from(rawPublicKey(keyIn(readCertificate(certified)))).toString('hex'),
  };
}

export function signRevocation(issuer: Issuer, { nodeId, name, by, revokedAtMs, fallen }: Omit<Revocation, 'issuer'>): SignedRecord {
  const payload = Wire.encode({
    ...{ nodeId, name, by, revokedAtMs, issuer: Buffer.from(issuer.certificate) },
    fallenIssuer: Buffer.from(fallen?.issuer ?? []),
    kept: [...(fallen?.kept ?? [])],
    keptAs: (fallen?.keptAs ?? []).map((each) => Buffer.from(each, 'hex')),
  }).finish();
  return { payload, signature: issuer.sign(statement(issuer.roots, payload)) };
}

/** All of a certificate that others go by but the key, which the id is made of, and the time: renewing changes none of it. Lower-case hex sha256. */
export function whoIs(peer: Pick<PeerIdentity, 'nodeId' | 'owner' | 'name' | 'notBeforeMs' | 'namedSinceMs'>): string {
  // None of them can have a zero byte.
  return createHash('sha256').update(['beckon-kept-v1', peer.nodeId, peer.owner, peer.name, String(namedSince(peer))].join('\0')).digest('hex');
}

/** Of a record that was opened once. Undefined for one that names by their ids alone who stays. */
export function keptAsIn({ payload }: Pick<SignedRecord, 'payload'>): KeptAs | undefined {
  return keptAsOf(decode(payload));
}

function keptAsOf({ kept, keptAs }: Wire): KeptAs | undefined {
  return kept.length > 0 && keptAs.length === 0 ? undefined : keptAs.map((each) => Buffer.from(each).toString('hex'));
}

/**
 * Its issuer has to have been one when it signed, and need not be one now: what was revoked stays so for ever.
 * @throws BrokerError as `RevocationSeal.open` does
 */
export function openRevocation({ payload, signature }: SignedRecord, roots: Roots): Revocation {
  const wire = decode(checked(payload));
  const { revokedAtMs, name, by } = wire;
  if (wire.fallenIssuer.length === 0 && payload.length > longestPlain) throw malformed(`it has ${payload.length} bytes, and keeps nobody`);
  const nodeId = nodeOf(wire);
  if (!Number.isSafeInteger(revokedAtMs) || revokedAtMs < 0) throw malformed('it has no time');
  if (!isPlain(name) || !isPlain(by)) throw malformed('its words cannot be shown');
  const issuer = new Uint8Array(wire.issuer);
  const key = certificate(() => verifyIssuerOnce(issuer, roots, revokedAtMs));
  if (!verifySignature(key, statement(roots, payload), signature)) throw refused("the signature of a revocation is not its issuer's");
  const withdrawn = withdrawalIn(rootSet(roots).withdrawn, authorityName(issuer));
  if (withdrawn !== undefined && revokedAtMs > withdrawn.atMs) throw refused(`a revocation is by ${withdrawn.name}, which was no issuer any more`);
  const fallen = fallenOf(wire, roots, revokedAtMs, key);
  return { nodeId, name, by, revokedAtMs, issuer, ...(fallen === undefined ? {} : { fallen }) };
}

function fallenOf(wire: Wire, roots: Roots, atMs: number, signer: Uint8Array): Revocation['fallen'] {
  const { fallenIssuer, kept } = wire;
  if (fallenIssuer.length === 0) return undefined;
  const issuer = new Uint8Array(fallenIssuer);
  certificate(() => verifyIssuerOnce(issuer, roots, atMs));
  if (Buffer.from(rawPublicKey(keyIn(readCertificate(issuer)))).equals(signer)) throw malformed('it takes the trust from the issuer that signed it');
  if (kept.length > mostKept || !kept.every((each): each is NodeId => isNodeId(each))) throw malformed('it keeps what are no nodes, or too many');
  const keptAs = keptAsOf(wire);
  if (keptAs !== undefined && (keptAs.length < kept.length || keptAs.length > mostKept || wire.keptAs.some(({ length }) => length !== digestBytes))) throw malformed('it does not say who those are that it keeps');
  return { issuer, kept: kept as NodeId[], ...(keptAs === undefined ? {} : { keptAs }) };
}

function isIssuerAt(certified: Uint8Array, roots: Roots, atMs: number): boolean {
  try {
    verifyIssuerOnce(certified, roots, atMs);
    return true;
  } catch (error) {
    if (error instanceof BrokerError) return false;
    throw error;
  }
}

function statement(roots: Roots, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`beckon-revocation-v1\0${rootSet(roots).meshId}\0`), payload]);
}

function checked(payload: Uint8Array): Uint8Array {
  if (payload.length > longestRecord) throw malformed(`it has ${payload.length} bytes`);
  return payload;
}

function nodeOf({ nodeId }: Wire): NodeId {
  if (!isNodeId(nodeId)) throw malformed('it names no node');
  return nodeId;
}

function decode(payload: Uint8Array): Wire {
  try {
    return Wire.decode(payload);
  } catch (error) {
    throw new BrokerError('invalid', 'a revocation is malformed', { cause: error });
  }
}

/** What is no certificate at all is no proof either. */
function certificate<Key>(verify: () => Key): Key {
  try {
    return verify();
  } catch (error) {
    throw refused(`a revocation is not by an issuer of this mesh: ${wordsOf(error)}`);
  }
}

/** People see it in terminals and logs. */
function isPlain(text: string): boolean {
  return text.length <= longestText && text.isWellFormed() && !/[^\P{C}]/u.test(text);
}

function malformed(why: string): BrokerError {
  return new BrokerError('invalid', `a revocation is malformed: ${why}`);
}

function refused(why: string): BrokerError {
  return new BrokerError('unauthenticated', why);
}
