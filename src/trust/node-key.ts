/** The Ed25519 key that a node is: its id is made from it, and all that it says is signed with it. */
import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { BrokerError } from '../domain/errors.ts';
import { nodeIdOfPublicKey, type NodeId } from '../domain/ids.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';

export interface NodeKey {
  /** Made of the public key alone: a libp2p key id, `k51…`. */
  readonly nodeId: NodeId;
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
  /** Ed25519 (RFC 8032), 64 bytes. Callers put a domain string in front of what they sign. */
  sign(message: Uint8Array): Uint8Array;
  /** PKCS#8 PEM, for TLS. */
  toPem(): string;
}

// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410) is this header and the raw key.
const spkiHeader = Buffer.from('302a300506032b6570032100', 'hex');

/** The raw 32 bytes of an Ed25519 key, public or private. @throws BrokerError `invalid` for any other kind. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  if (publicKey.asymmetricKeyType !== 'ed25519') throw new BrokerError('invalid', 'that is not an Ed25519 key');
  return new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(spkiHeader.length));
}

/** Of the raw key. @throws BrokerError `invalid` when it has not 32 bytes; 32 bytes that are no point of the curve make a key that verifies nothing */
export function publicKeyObject(raw: Uint8Array): KeyObject {
  if (raw.length !== 32) throw new BrokerError('invalid', `an Ed25519 public key has 32 bytes, not ${raw.length}`);
  return createPublicKey({ key: Buffer.concat([spkiHeader, raw]), format: 'der', type: 'spki' });
}

/**
 * Whether that is the signature of that message by that key, Ed25519 (RFC 8032). Never throws: what is no key, raw and of 32 bytes, or no
 * signature of 64 bytes does not verify.
 */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  return verify(null, message, signerKey(publicKey), signature);
}

/** Those who sign for a node sign again and again, and to make the object of a key takes as long as to verify with it. */
const mostSigners = 1024;
/** In order of first use. */
const signers = new Map<string, KeyObject>();

function signerKey(raw: Uint8Array): KeyObject {
  const name = Buffer.from(raw).toString('latin1');
  const known = signers.get(name);
  if (known !== undefined) return known;
  const key = publicKeyObject(raw);
  const [oldest] = signers.keys();
  if (oldest !== undefined && signers.size >= mostSigners) signers.delete(oldest);
  signers.set(name, key);
  return key;
}

/** The node that holds that private key. @throws BrokerError `invalid` for one that is not Ed25519 */
export function nodeKeyOf(privateKey: KeyObject): NodeKey {
  const publicKey = rawPublicKey(privateKey);
  return {
    nodeId: nodeIdOfPublicKey(publicKey),
    publicKey,
    privateKey,
    sign: (message) => new Uint8Array(sign(null, message, privateKey)),
    toPem: () => privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** As `NodeKey.sign`, by any private key; one of another kind makes a signature of its own kind, which `verifySignature` refuses. */
export function signWith(key: KeyObject, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, key));
}

/** A new one, of the system's random numbers; nothing is written. */
export function generateNodeKey(): NodeKey {
  return nodeKeyOf(generateKeyPairSync('ed25519').privateKey);
}

/**
 * The key in the file; makes file and key when there is none. Of two processes that do so at once, both get the one
 * that was written first.
 * @throws BrokerError `denied`, `invalid`, `unavailable` as `readKeyFile` and `writeKeyFile` do; `conflict` when the file of the other process is gone again
 */
export async function loadOrCreateNodeKey(path: string): Promise<NodeKey> {
  const found = await readKeyFile(path);
  if (found !== undefined) return nodeKeyOf(found);
  const made = generateNodeKey();
  try {
    await writeKeyFile(path, made.privateKey);
    return made;
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'conflict') throw error;
    const first = await readKeyFile(path);
    if (first === undefined) throw error;
    return nodeKeyOf(first);
  }
}
