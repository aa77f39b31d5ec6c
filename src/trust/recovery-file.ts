/**
 * The recovery file: what makes a new issuer of a mesh when all that it had are lost. One JSON document: what it is, for people; how
 * the key is made from the passphrase (scrypt, RFC 7914); and, sealed with that (AES-256-GCM, all before it authenticated), the root's
 * private key, the root, and who was a member and who was removed when it was written.
 *
 * A checksum over all of it tells a damaged file from a wrong passphrase; it proves nothing.
 */
import { createCipheriv, createDecipheriv, createHash, createPrivateKey, randomBytes, scrypt, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { z } from 'zod';
import { BrokerError, conflict, invalid, unavailable } from '../domain/errors.ts';
import { asMeshId, type MeshId } from '../domain/ids.ts';
import { readBy } from '../domain/read-by.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { CertificateChain } from '../domain/trust.ts';
import { codeOf } from '../domain/system-error.ts';
import { keyIn, meshIdOf, readCertificate } from './certificate.ts';
import type { Authority } from './issue.ts';
import { writeNewFile } from './new-file.ts';
import { rawPublicKey } from './node-key.ts';

export interface GuessCost {
  readonly n: number;
  readonly r: 8;
  readonly p: 1;
}

/** 128 MiB and about half a second for each guess. */
export const usualCost: GuessCost = { n: 2 ** 17, r: 8, p: 1 };
/** What a file may ask for. */
const mostN = 2 ** 18;
const newestVersion = 2;
const largestFile = 64 * 1024 * 1024;
export const shortestPassphrase = 12;

export interface RecoveryMember {
  readonly chain: CertificateChain;
  /** host:port */
  readonly addresses: readonly string[];
  /** Of one that lets others in: its certificate for that, so that it can be removed with all that its key has signed. */
  readonly issuerDer?: Uint8Array;
}

export interface Recovery {
  readonly meshName: string;
  /** The owner identity of the machine that wrote it. */
  readonly owner: string;
  readonly rootKey: KeyObject;
  /** The oldest that its machine had the key of. */
  readonly root: Uint8Array;
  /** Of a mesh that has had more than one root. */
  readonly later?: LaterRoots;
  readonly members: readonly RecoveryMember[];
  readonly revocations: readonly SignedRecord[];
}

export interface LaterRoots {
  /** The one that the mesh's id is made of. */
  readonly first: Uint8Array;
  /** As they travel. */
  readonly authorities: Uint8Array;
  /** Of the other roots whose keys that machine had. */
  readonly keys: readonly Authority[];
}

const bytes = z
  .string()
  .regex(/^[A-Za-z0-9_-]*$/)
  .transform((text) => new Uint8Array(Buffer.from(text, 'base64url')));

const header = z.object({
  beckonRecovery: z.int(),
  mesh: z.object({ id: z.string().max(100), name: z.string().max(200) }),
  madeAt: z.string().max(40),
  key: z.object({ by: z.literal('scrypt'), n: z.int().min(2 ** 14).max(mostN), r: z.literal(8), p: z.literal(1), salt: bytes }),
  cipher: z.literal('aes-256-gcm'),
  nonce: bytes,
});
const document = header.extend({ sealed: bytes, sha256: z.string().max(64) });

const content = z.object({
  meshName: z.string().max(200),
  owner: z.string().max(200),
  rootKey: z.string().max(4096),
  root: bytes,
  later: z.object({ first: bytes, authorities: bytes, keys: z.array(z.object({ root: bytes, key: z.string().max(4096) })).max(16) }).optional(),
  members: z.array(z.object({ leaf: bytes, issuer: bytes, issues: bytes.optional(), addresses: z.array(z.string().max(300)).max(64) })).max(10_000),
  revocations: z.array(z.object({ payload: bytes, signature: bytes })).max(10_000),
});

/** @throws BrokerError `invalid` for a passphrase that is too short to keep a key */
export function checkPassphrase(passphrase: string): void {
  if (Array.from(passphrase).length >= shortestPassphrase) return;
  throw invalid(`a passphrase has at least ${shortestPassphrase} characters`, 'several words are good: whoever has the file and guesses it has the mesh');
}

/**
 * Writes it to a place where nothing is, readable by this user alone, durable when it resolves; then reads it back and opens it.
 * @throws BrokerError `invalid` for a passphrase that is too short, `conflict` when something is there, `unavailable` when it can't be written
 */
export async function writeRecoveryFile(path: string, recovery: Recovery, passphrase: string, nowMs: number, cost = usualCost): Promise<void> {
  checkPassphrase(passphrase);
  const text = await seal(recovery, passphrase, nowMs, cost);
  await writeNew(path, text);
  const back = await readRecoveryFile(path, passphrase);
  if (Buffer.from(rawPublicKey(back.rootKey)).equals(rawPublicKey(recovery.rootKey)) && back.members.length === recovery.members.length) return;
  await rm(path, { force: true });
  throw unavailable(`what was written to ${path} is not what can be read there`, 'nothing is kept there; try another disk');
}

/**
 * @throws BrokerError `not_found` when there is no such file, `invalid` for a file that is damaged or is none, `incompatible` for one of a
 * newer version, `denied` for another passphrase, `unavailable` when it can't be read
 */
export async function readRecoveryFile(path: string, passphrase: string): Promise<Recovery> {
  const text = await readBounded(path);
  const whole = parse(path, text);
  const { meshId, ...inside } = contentOf(path, await openSealed(whole, passphrase));
  if (meshId !== whole.mesh.id) throw damaged(path, 'its root is of another mesh');
  return inside;
}

async function seal({ rootKey, root, later, members, revocations, meshName, owner }: Recovery, passphrase: string, nowMs: number, cost: GuessCost): Promise<string> {
  const plain = encode({
    ...{ meshName, owner, root },
    rootKey: pemOf(rootKey),
    later: later === undefined ? undefined : { ...later, keys: later.keys.map(({ certificate, key }) => ({ root: certificate, key: pemOf(key) })) },
    members: members.map(({ chain, addresses, issuerDer }) => ({ leaf: chain.leaf, issuer: chain.issuer, issues: issuerDer, addresses })),
    revocations: revocations.map(({ payload, signature }) => ({ payload, signature })),
  });
  const head: Header = {
    // Versions that know of one root only take that of the first, with its key, for what it is.
    beckonRecovery: later === undefined || Buffer.from(later.first).equals(root) ? 1 : 2,
    mesh: { id: meshIdOf(readCertificate(later?.first ?? root)), name: meshName },
    madeAt: new Date(nowMs).toISOString(),
    key: { by: 'scrypt', ...cost, salt: new Uint8Array(randomBytes(32)) },
    cipher: 'aes-256-gcm',
    nonce: new Uint8Array(randomBytes(12)),
  };
  const cipher = createCipheriv('aes-256-gcm', await keyOf(head, passphrase), head.nonce).setAAD(Buffer.from(encode(head)));
  const sealed = new Uint8Array(Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]));
  return `${encode({ ...head, sealed, sha256: sumOf({ ...head, sealed }) }, 2)}\n`;
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

type Header = z.infer<typeof header>;
type Sealed = Header & { readonly sealed: Uint8Array };

async function openSealed({ sealed, ...head }: Sealed, passphrase: string): Promise<string> {
  const tagAt = sealed.length - 16;
  const decipher = createDecipheriv('aes-256-gcm', await keyOf(head, passphrase), head.nonce).setAAD(Buffer.from(encode(head))).setAuthTag(sealed.subarray(tagAt));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, tagAt)), decipher.final()]).toString('utf8');
  } catch (error) {
    throw new BrokerError('denied', `the passphrase is not that of this recovery file (of the mesh ${head.mesh.name}, written ${head.madeAt})`, { hint: 'there is no way around it; is it the right file?', cause: error });
  }
}

function keyOf({ key: { n, r, p, salt } }: Header, passphrase: string): Promise<Buffer> {
  // Two ways to type one letter are one letter.
  const typed = Buffer.from(passphrase.normalize('NFKC'), 'utf8');
  return new Promise((resolve, reject) => scrypt(typed, salt, 32, { N: n, r, p, maxmem: 256 * n * r }, (error, key) => (error === null ? resolve(key) : reject(error))));
}

function parse(path: string, text: string): Sealed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(path, 'it is not whole, or not a recovery file', error);
  }
  const version = (value as { beckonRecovery?: unknown } | null)?.beckonRecovery;
  if (typeof version === 'number' && version > newestVersion) throw new BrokerError('incompatible', `the recovery file ${path} was written by a newer Beckon`, { hint: 'update Beckon on this machine' });
  const read = readBy(document, value);
  if (read?.success !== true) throw damaged(path, `${read?.error.issues[0]?.path.join('.') ?? 'it'} is not as it was written`);
  const { sha256, ...rest } = read.data;
  if (sumOf(rest) !== sha256) throw damaged(path, 'it was changed since it was written');
  if (rest.sealed.length < 17 || rest.nonce.length !== 12) throw damaged(path, 'a part of it is missing');
  return rest;
}

function contentOf(path: string, plain: string): Recovery & { readonly meshId: MeshId } {
  const read = readBy(content, orDamaged(path, () => JSON.parse(plain) as unknown));
  if (read?.success !== true) throw damaged(path, 'what is sealed in it can’t be understood');
  const { rootKey: pem, root, members, later: more, ...rest } = read.data;
  const rootKey = keyFor(path, root, pem);
  const keys = more?.keys.map((each) => ({ certificate: each.root, key: keyFor(path, each.root, each.key) })) ?? [];
  const later = more === undefined ? {} : { later: { first: more.first, authorities: more.authorities, keys } };
  return { ...rest, rootKey, root, ...later, meshId: asMeshId(meshIdOf(readCertificate(more?.first ?? root))), members: members.map(({ leaf, issuer, issues, addresses }) => ({ chain: { leaf, issuer }, addresses, ...(issues === undefined ? {} : { issuerDer: issues }) })) };
}

function keyFor(path: string, root: Uint8Array, pem: string): KeyObject {
  const key = orDamaged(path, () => createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' }));
  if (!Buffer.from(rawPublicKey(keyIn(readCertificate(root)))).equals(rawPublicKey(key))) throw damaged(path, 'key and root do not belong together');
  return key;
}

function orDamaged<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw damaged(path, 'what is sealed in it can’t be understood', error);
  }
}

function sumOf(part: object): string {
  return createHash('sha256').update(encode(part)).digest('hex');
}

function encode(message: object, indent?: number): string {
  return JSON.stringify(
    message,
    function (this: Record<string, unknown>, key, value: unknown) {
      const original = this[key];
      return original instanceof Uint8Array ? Buffer.from(original).toString('base64url') : value;
    },
    indent,
  );
}

async function readBounded(path: string): Promise<string> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw invalid(`${path} is not a file`);
    if (stat.size > largestFile) throw damaged(path, 'it is too large');
    return await file.readFile('utf8');
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    const code = codeOf(error);
    if (code === 'ENOENT') throw new BrokerError('not_found', `there is no file ${path}`, { cause: error });
    throw new BrokerError('unavailable', `cannot read ${path}: ${code}`, { cause: error });
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeNewFile(path, text);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') throw conflict(`there is something at ${path} already`, 'name a file that is not there yet: a recovery file is written once');
    throw new BrokerError('unavailable', `cannot write ${path}: ${code}`, { hint: 'name a file in a directory that is there and may be written to', cause: error });
  }
}

function damaged(path: string, why: string, cause?: unknown): BrokerError {
  return new BrokerError('invalid', `${path} is no recovery file that could be used: ${why}`, { hint: 'use another copy of it', ...(cause === undefined ? {} : { cause }) });
}
