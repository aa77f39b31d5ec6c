/**
 * Which roots a mesh trusts, and which issuers it trusts no more: a union that only grows, of parts that prove themselves, so that in whatever
 * order it is heard it comes to the same. A root follows another when that one's key signed its certificate. A root is retired by the key of another
 * that does not come before it; from then on only those of its successors stay that the word names, and of two such words the one
 * that was heard first counts: whoever stole the old key can still sign, and comes late.
 */
import { sign, type KeyObject, type X509Certificate } from 'node:crypto';
import { BrokerError } from '../domain/errors.ts';
import { isNodeId } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { WithdrawnIssuer } from '../domain/trust.ts';
import { Authorities as Wire, AuthorityWord } from '../gen/beckon/v1/authority.ts';
import { authorityName, fingerprintText, readCertificate, readReceived, rootSet, type RootSet } from './certificate.ts';
import { rawPublicKey, verifySignature } from './node-key.ts';

/** All of it, as it travels. */
export const longestAuthorities = 48 * 1024;
const mostRoots = 16;
const mostIssuers = 64;
const mostWords = 64;
const mostKept = 2_000;
const longestText = 200;

interface Rooted {
  readonly der: Uint8Array;
  readonly certificate: X509Certificate;
  readonly fingerprint: string;
  readonly cross?: Uint8Array;
  /** The one whose key signed the cross certificate. */
  readonly parent?: Rooted;
}

export interface Authorities extends RootSet {
  readonly roots: readonly { readonly der: Uint8Array; readonly fingerprint: string; readonly signedBy?: string; readonly isTrusted: boolean }[];
}

interface Parts {
  readonly roots: readonly { readonly root: Uint8Array; readonly cross: Uint8Array }[];
  readonly issuers: readonly Uint8Array[];
  readonly words: readonly SignedRecord[];
}

/** Asked for with each certificate that is judged, and read from the store anew each time; a process knows few meshes. */
const recent: { readonly first: Uint8Array; readonly bytes: Uint8Array | undefined; readonly made: Authorities }[] = [];
const mostRecent = 8;

/** @param bytes what is stored besides the first root: it was judged when it came. @throws BrokerError `invalid` for what can't be read */
export function authoritiesOf(first: Uint8Array, bytes: Uint8Array | undefined): Authorities {
  const known = recent.find((each) => same(each.first, first) && (each.bytes === bytes || (each.bytes !== undefined && bytes !== undefined && same(each.bytes, bytes))));
  if (known !== undefined) return known.made;
  const { authorities: made } = judge(first, bytes === undefined ? nothing : decode(bytes));
  recent.unshift({ first, bytes, made });
  recent.length = Math.min(recent.length, mostRecent);
  return made;
}

/**
 * The union, as far as what came proves itself by what is known.
 * @returns undefined when nothing of it is new
 * @throws BrokerError `unauthenticated` when nothing of what is new proves itself, `invalid` for what can't be read, `overload` for more than is kept
 */
export function mergeAuthorities(first: Uint8Array, known: Uint8Array | undefined, received: Uint8Array): Uint8Array | undefined {
  const before = known === undefined ? nothing : decode(known);
  const came = decode(received);
  const union: Parts = {
    roots: [...before.roots, ...came.roots.filter((each) => !before.roots.some((other) => same(other.root, each.root)))],
    issuers: [...before.issuers, ...came.issuers.filter((each) => !before.issuers.some((other) => same(other, each)))],
    words: [...before.words, ...came.words.filter((each) => !before.words.some((other) => same(other.payload, each.payload)))],
  };
  const isNew = union.roots.length > before.roots.length || union.issuers.length > before.issuers.length || union.words.length > before.words.length;
  if (!isNew) return undefined;
  const { proven, refused } = judge(first, union);
  if (proven.roots.length > mostRoots || proven.issuers.length > mostIssuers || proven.words.length > mostWords) throw new BrokerError('overload', 'more roots, issuers and words on them than a mesh has');
  // An earlier version may have stored what proves nothing now.
  const { proven: had } = judge(first, before);
  const isMore = proven.roots.length > had.roots.length || proven.issuers.length > had.issuers.length || proven.words.length > had.words.length;
  if (!isMore) throw new BrokerError('unauthenticated', refused ?? 'nothing of it is by a root of this mesh');
  const bytes = encodeAuthorities(proven);
  if (bytes.length > longestAuthorities) throw new BrokerError('overload', 'more roots, issuers and words on them than a mesh has');
  return bytes;
}

/** What a stranger shows of its mesh. @throws BrokerError `unauthenticated` when that root is not one that this mesh trusts by it, `invalid` */
export function rootsShown(first: Uint8Array, bytes: Uint8Array | undefined, root: Uint8Array): Authorities {
  readReceived(first);
  const shown = authoritiesOf(first, bytes);
  if (shown.trusted.some((each) => same(each, root))) return shown;
  throw new BrokerError('unauthenticated', 'the root that it shows is none of the mesh that it says it is of');
}

export function encodeAuthorities({ roots = [], issuers = [], words = [] }: Partial<Parts>): Uint8Array {
  const bytesOf = ({ payload, signature }: SignedRecord) => ({ payload: Buffer.from(payload), signature: Buffer.from(signature) });
  return new Uint8Array(Wire.encode({ roots: roots.map(({ root, cross }) => ({ root: Buffer.from(root), cross: Buffer.from(cross) })), issuers: issuers.map((each) => Buffer.from(each)), words: words.map(bytesOf) }).finish());
}

export interface RootSigner {
  readonly root: Uint8Array;
  readonly key: KeyObject;
}

/** @param kept roots that it signed and that stay. @param issuers whose certificates by it were known */
export function signRetirement(roots: RootSet, signer: RootSigner, { root, kept, issuers, by, atMs }: { readonly root: Uint8Array; readonly kept: readonly Uint8Array[]; readonly issuers: readonly Uint8Array[]; readonly by: string; readonly atMs: number }): SignedRecord {
  const prints = (ders: readonly Uint8Array[]): Buffer[] => [...new Set(ders.map(fingerprintText))].map((each) => Buffer.from(each, 'hex'));
  return seal(roots, signer, { atMs, by, word: { $case: 'retired', value: { root: Buffer.from(fingerprintText(root), 'hex'), kept: prints(kept), issuers: prints(issuers) } } });
}

/** @param kept certificates of nodes that it signed */
export function signWithdrawal(roots: RootSet, signer: RootSigner, { nodeId, name, issuer, kept, isCompromised, by, atMs }: { readonly nodeId: NodeId; readonly name: string; readonly issuer: Uint8Array; readonly kept: readonly Uint8Array[]; readonly isCompromised: boolean; readonly by: string; readonly atMs: number }): SignedRecord {
  return seal(roots, signer, { atMs, by, word: { $case: 'withdrawn', value: { nodeId, name, issuer: Buffer.from(issuer), kept: kept.map((each) => Buffer.from(fingerprintText(each), 'hex')), compromised: isCompromised } } });
}

function seal(roots: RootSet, { root, key }: RootSigner, word: Omit<AuthorityWord, 'root'>): SignedRecord {
  const payload = new Uint8Array(AuthorityWord.encode({ root: Buffer.from(fingerprintText(root), 'hex'), ...word }).finish());
  return { payload, signature: new Uint8Array(sign(null, statement(roots, payload), key)) };
}

function statement({ meshId }: Pick<RootSet, 'meshId'>, payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`beckon-authority-v1\0${meshId}\0`), payload]);
}

const nothing: Parts = { roots: [], issuers: [], words: [] };

function judge(first: Uint8Array, { roots, issuers, words }: Parts): { readonly authorities: Authorities; readonly proven: Parts; readonly refused: string | undefined } {
  let refused: string | undefined;
  const origin: Rooted = { der: first, certificate: readCertificate(first), fingerprint: fingerprintText(first) };
  const { meshId } = rootSet(first);
  const line: Rooted[] = [origin];
  const dropped = new Set<Rooted>();
  const retired: { root: Rooted; kept: ReadonlySet<string>; issuers: ReadonlySet<string> }[] = [];
  const isDropped = (root: Rooted): boolean => dropped.has(root) || (root.parent !== undefined && isCutOff(root, root.parent));
  /** Its parent was retired and did not keep it, or is itself one that never counted. */
  const isCutOff = (root: Rooted, parent: Rooted): boolean => {
    const word = retired.find((each) => each.root === parent);
    return word === undefined ? isDropped(parent) : !word.kept.has(root.fingerprint);
  };
  const isTrusted = (root: Rooted): boolean => !isDropped(root) && !retired.some((each) => each.root === root);

  // A root may come before the one that signed it.
  const waiting = [...roots];
  for (let found = true; found; ) {
    found = false;
    for (const [at, { root, cross }] of waiting.entries()) {
      const parent = line.find((each) => vouches(each, root, cross));
      if (parent === undefined) continue;
      line.push({ der: root, certificate: readCertificate(root), fingerprint: fingerprintText(root), cross, parent });
      waiting.splice(at, 1);
      found = true;
      break;
    }
  }
  if (waiting.length > 0) refused = 'a root that none of this mesh has signed';

  const counted: SignedRecord[] = [];
  const withdrawn: WithdrawnIssuer[] = [];
  for (const record of words) {
    const word = wordOf(record);
    const signer = line.find(({ fingerprint }) => fingerprint === hex(word.root));
    if (signer === undefined || !verifySignature(rawPublicKey(signer.certificate.publicKey), statement({ meshId }, record.payload), record.signature) || !isTrusted(signer)) {
      refused = 'a word that no trusted root of this mesh has signed';
      continue;
    }
    if (word.word?.$case === 'retired') {
      const { value } = word.word;
      const root = line.find(({ fingerprint }) => fingerprint === hex(value.root));
      if (root === undefined || root === signer || !isTrusted(root) || comesBefore(signer, root)) {
        refused = 'a root that was retired by one which may not';
        continue;
      }
      retired.push({ root, kept: new Set([...value.kept.map(hex), ...lineOf(signer)]), issuers: new Set(value.issuers.map(hex)) });
    } else if (word.word?.$case === 'withdrawn') {
      const { value } = word.word;
      const name = safely(() => authorityName(new Uint8Array(value.issuer)));
      if (name === undefined || !isNodeId(value.nodeId) || !isPlain(value.name) || !isPlain(word.by) || value.kept.length > mostKept) {
        refused = 'a word on an issuer that can\u2019t be understood';
        continue;
      }
      withdrawn.push({ nodeId: value.nodeId, name: value.name, by: word.by, atMs: word.atMs, certifies: name, kept: new Set(value.kept.map(hex)), isCompromised: value.compromised });
    } else continue;
    counted.push(record);
  }

  const later = line.filter((each) => each !== origin);
  const good = issuers.filter((der) => later.some(({ certificate }) => isIssuedBy(der, certificate)));
  if (good.length < issuers.length) refused = 'the certificate of an issuer that no later root of this mesh has signed';
  const trusted = line.filter(isTrusted);
  return {
    refused,
    proven: { roots: later.map(({ der, cross }) => ({ root: der, cross: cross ?? der })), issuers: good, words: counted },
    authorities: {
      meshId,
      first,
      trusted: trusted.map(({ der }) => der),
      issuers: good.filter((der) => trusted.some(({ certificate }) => isIssuedBy(der, certificate))),
      crosses: trusted.flatMap(({ cross }) => cross ?? []),
      retired: retired.map(({ root, issuers: known }) => ({ root: root.der, issuers: known })),
      withdrawn,
      roots: line.filter((each) => !isDropped(each)).map((each) => ({ der: each.der, fingerprint: each.fingerprint, isTrusted: isTrusted(each), ...(each.parent === undefined ? {} : { signedBy: each.parent.fingerprint }) })),
    },
  };
}

/** Whether `cross` is that root's key, vouched for by the other. When is no matter: the key that signs could say what it likes of that. */
function vouches({ certificate: parent }: Rooted, root: Uint8Array, cross: Uint8Array): boolean {
  return safely(() => {
    const [own, by] = [readReceived(root), readReceived(cross)];
    const isRoot = own.ca && own.subject === parent.subject && own.checkIssued(own) && own.verify(own.publicKey) && own.publicKey.asymmetricKeyType === 'ed25519';
    const isSameKey = by.ca && by.subject === own.subject && same(rawPublicKey(by.publicKey), rawPublicKey(own.publicKey)) && !same(rawPublicKey(own.publicKey), rawPublicKey(parent.publicKey));
    return isRoot && isSameKey && by.checkIssued(parent) && by.verify(parent.publicKey);
  }) === true;
}

function isIssuedBy(der: Uint8Array, root: X509Certificate): boolean {
  return safely(() => {
    const issuer = readReceived(der);
    return issuer.ca && issuer.checkIssued(root) && issuer.verify(root.publicKey);
  }) === true;
}

/** Whether the other was signed by it, or by one that was. */
function comesBefore(root: Rooted, other: Rooted): boolean {
  return other.parent !== undefined && (other.parent === root || comesBefore(root, other.parent));
}

/** Itself, and those that it comes from: whoever retires one of these means to stay. */
function lineOf(root: Rooted): string[] {
  return [root.fingerprint, ...(root.parent === undefined ? [] : lineOf(root.parent))];
}

function decode(bytes: Uint8Array): Parts {
  if (bytes.length > longestAuthorities) throw malformed();
  try {
    const { roots, issuers, words } = Wire.decode(bytes);
    if (roots.length > mostRoots || issuers.length > mostIssuers || words.length > mostWords) throw malformed();
    const plain = (buffer: Uint8Array): Uint8Array => new Uint8Array(buffer);
    return { roots: roots.map(({ root, cross }) => ({ root: plain(root), cross: plain(cross) })), issuers: issuers.map(plain), words: words.map(({ payload, signature }) => ({ payload: plain(payload), signature: plain(signature) })) };
  } catch (error) {
    throw malformed(error);
  }
}

function wordOf({ payload }: SignedRecord): AuthorityWord {
  try {
    return AuthorityWord.decode(payload);
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause?: unknown): BrokerError {
  return new BrokerError('invalid', 'what came of the roots of the mesh is malformed', cause === undefined ? {} : { cause });
}

/** Undefined for what can't be read. */
function safely<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof BrokerError || error instanceof Error) return undefined;
    throw error;
  }
}

function isPlain(text: string): boolean {
  return text.length <= longestText && text.isWellFormed() && !/[^\P{C}]/u.test(text);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);
