/**
 * The keys that make a mesh: the root, and the issuer that lets nodes in. Each mesh has its own directory below
 * `trust/`, so that a second mesh, or what a crash left of a first try, never costs anybody a key.
 */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BrokerError } from '../domain/errors.ts';
import type { MeshId } from '../domain/ids.ts';
import type { CertificateChain, MeshIdentity } from '../domain/trust.ts';
import { fingerprintText, goodIssuers, keyIn, lifeOf, meshIdOf, parseLeaf, readCertificate, type Roots, rootSet, type RootSet, spokenRoot, toPem, verifyChain } from './certificate.ts';
import { makeIssuer, makeLeaf, makeRoot, type Authority, type LeafSubject } from './issue.ts';
import { readKeyFile, writeKeyFile } from './key-file.ts';
import { publicKeyObject, rawPublicKey, type NodeKey } from './node-key.ts';

/** Certificates only: safe to store, replicate, show. */
export interface MeshCertificates {
  readonly meshId: MeshId;
  readonly root: Uint8Array;
  /** This node's own. */
  readonly chain: CertificateChain;
}

export interface MeshFounding {
  /** The `trust/` directory of the node's home. */
  readonly directory: string;
  readonly nodeKey: NodeKey;
  readonly nodeName: string;
  readonly owner: string;
  readonly nowMs: number;
}

/**
 * A new root, this node's issuer, its leaf. The keys are durable, with mode 0600, when this returns; the certificates
 * are the caller's to store, and the mesh exists once they are.
 * @throws BrokerError `invalid` for a name or owner that a certificate can't carry, `unavailable` when keys can't be written.
 */
export async function createMesh(founding: MeshFounding): Promise<MeshCertificates> {
  const { directory, nodeKey, nodeName, owner, nowMs } = founding;
  const rootKey = generateKeyPairSync('ed25519').privateKey;
  const issuerKey = generateKeyPairSync('ed25519').privateKey;
  const root = await makeRoot(rootKey, nowMs);
  const issuer = await makeIssuer(issuerKey, { certificate: root, key: rootKey }, nowMs);
  const subject = { publicKey: nodeKey.publicKey, name: nodeName, owner };
  const leaf = await makeLeaf(subject, { certificate: issuer, key: issuerKey }, root, nowMs);
  const meshId = meshIdOf(readCertificate(root));
  await writeKeyFile(rootKeyPath(directory, meshId), rootKey);
  await writeKeyFile(issuerKeyPath(directory, meshId), issuerKey);
  return { meshId, root, chain: { leaf, issuer } };
}

export function rootKeyPath(directory: string, meshId: MeshId): string {
  return join(directory, meshId, 'root.key');
}

/** Of a root that followed the first. */
export function laterRootKeyPath(directory: string, meshId: MeshId, root: Uint8Array): string {
  return join(directory, meshId, `root-${fingerprintText(root).slice(0, 16)}.key`);
}

/** The keys of those trusted roots that are on this machine, the newest root first. @throws BrokerError as `readKeyFile` does */
export async function rootKeysHere(directory: string, roots: RootSet): Promise<readonly Authority[]> {
  const found = await Promise.all(roots.trusted.map(async (certificate): Promise<Authority | undefined> => {
    const key = await readKeyFile(pathOfRootKey(directory, roots, certificate));
    return key === undefined ? undefined : { certificate, key };
  }));
  return found.filter((each) => each !== undefined).toReversed();
}

/** Durable when it resolves; does nothing when it is there. @throws BrokerError as `writeKeyFile` does */
export async function keepKeyOfRoot(directory: string, roots: Pick<RootSet, 'meshId' | 'first'>, root: Uint8Array, key: KeyObject): Promise<void> {
  const path = pathOfRootKey(directory, roots, root);
  if ((await readKeyFile(path)) === undefined) await writeKeyFile(path, key);
}

export async function dropKeyOfRoot(directory: string, roots: Pick<RootSet, 'meshId' | 'first'>, root: Uint8Array): Promise<void> {
  await rm(pathOfRootKey(directory, roots, root), { force: true });
}

function pathOfRootKey(directory: string, { meshId, first }: Pick<RootSet, 'meshId' | 'first'>, root: Uint8Array): string {
  return Buffer.from(root).equals(first) ? rootKeyPath(directory, meshId) : laterRootKeyPath(directory, meshId, root);
}

export function issuerKeyPath(directory: string, meshId: MeshId): string {
  return join(directory, meshId, 'issuer.key');
}

/** A key to issue with: that of an earlier try, or a new one, which `keepIssuerKey` makes durable. */
export async function wishIssuerKey(directory: string, meshId: MeshId): Promise<KeyObject> {
  return (await readKeyFile(issuerKeyPath(directory, meshId))) ?? generateKeyPairSync('ed25519').privateKey;
}

/** Durable when it resolves; does nothing when it is there. @throws BrokerError as `writeKeyFile` does */
export async function keepIssuerKey(directory: string, meshId: MeshId, key: KeyObject): Promise<void> {
  if ((await readKeyFile(issuerKeyPath(directory, meshId))) === undefined) await writeKeyFile(issuerKeyPath(directory, meshId), key);
}

/** This node lets nobody in any more: to do so again it needs another key. */
export async function dropIssuerKey(directory: string, meshId: MeshId): Promise<void> {
  await rm(issuerKeyPath(directory, meshId), { force: true });
}

/** Removes all keys of a mesh but the node's own, which belongs to none. Does nothing when there are none. */
export async function forgetMeshKeys(directory: string, meshId: MeshId): Promise<void> {
  await rm(join(directory, meshId), { recursive: true, force: true });
}

/** What lets nodes in. Holds a key: made by `openIssuer`, kept by the node alone. */
export interface Issuer {
  readonly meshId: MeshId;
  readonly roots: Roots;
  /** As they travel, where there is more than the first root. */
  readonly authorities?: Uint8Array;
  /** The one that newcomers are shown, and this issuer's certificate by it. */
  readonly root: Uint8Array;
  readonly certificate: Uint8Array;
  /** A leaf for that node, signed, checked as any member would check it; nothing is stored. */
  issue(subject: LeafSubject, nowMs: number): Promise<CertificateChain>;
  /** A certificate that makes the holder of that key an issuer too; undefined where the root's key is not. @param publicKey raw */
  certifyIssuer(publicKey: Uint8Array, nowMs: number): Promise<Uint8Array | undefined>;
  /** Signs with the issuer's key. Callers put a domain string in front; no certificate starts like one. */
  sign(statement: Uint8Array): Uint8Array;
}

/**
 * This node's issuer, by its certificate from the store and its key file.
 * @returns undefined when the key file is not there: then this node is no issuer.
 * @throws BrokerError as `readKeyFile` does; `invalid` when key and certificate do not belong together.
 */
export async function openIssuer(
  directory: string,
  roots: Roots,
  stored: Uint8Array,
  nowMs: number = lifeOf(stored).notAfterMs,
  authorities?: Uint8Array,
): Promise<Issuer | undefined> {
  const { meshId } = rootSet(roots);
  const path = issuerKeyPath(directory, meshId);
  const key = await readKeyFile(path);
  if (key === undefined) return undefined;
  if (!Buffer.from(rawPublicKey(keyIn(readCertificate(stored)))).equals(rawPublicKey(key))) {
    throw new BrokerError('invalid', `the key file ${path} is not the key of this node’s issuer certificate`, {
      hint: 'restore trust/ and the database from the same backup',
    });
  }
  // Where none is in force now, that is for whoever it is shown to to say.
  const [certificate = stored] = goodIssuers(stored, roots, nowMs);
  const authority: Authority = { certificate, key };
  const issuedBy = readCertificate(certificate);
  return {
    meshId,
    roots,
    ...(authorities === undefined ? {} : { authorities }),
    root: rootSet(roots).trusted.find((each) => issuedBy.checkIssued(readCertificate(each))) ?? spokenRoot(roots),
    certificate,
    issue: async (subject, nowMs) => {
      const chain = { leaf: await makeLeaf(subject, authority, roots, nowMs), issuer: certificate };
      verifyChain(chain, roots, nowMs);
      return chain;
    },
    certifyIssuer: async (publicKey, nowMs) => {
      const keys = await rootKeysHere(directory, rootSet(roots));
      // Of the oldest that is here: nodes that know no other root know that one.
      const root = keys.at(-1);
      return root === undefined ? undefined : makeIssuer(publicKeyObject(publicKey), root, nowMs);
    },
    sign: (statement) => new Uint8Array(sign(null, statement, key)),
  };
}

/**
 * What the front and outgoing links need, put together from the node's key and the stored certificates.
 * Whether they are in force is for whoever they are shown to: a node whose certificate has ended, or whose clock is wrong, has to
 * run to have that mended.
 * @throws BrokerError `unauthenticated` when they do not fit
 */
export function meshIdentityOf(nodeKey: NodeKey, mesh: { readonly name: string; readonly root: Roots; readonly chain: CertificateChain }): MeshIdentity {
  const roots = rootSet(mesh.root);
  const { notAfterMs } = parseLeaf(mesh.chain.leaf);
  const { meshId, nodeId, name, owner } = verifyChain(mesh.chain, { ...roots, trusted: [...roots.trusted, ...roots.retired.map(({ root }) => root)] }, notAfterMs);
  const good = goodIssuers(mesh.chain.issuer, roots, notAfterMs);
  const issuers = good.length === 0 ? [mesh.chain.issuer] : good;
  if (nodeId !== nodeKey.nodeId) {
    throw new BrokerError('unauthenticated', `the stored certificate is of node ${nodeId}, this node's key makes ${nodeKey.nodeId}`, {
      hint: 'the key file or the database was replaced; restore both, or join again',
    });
  }
  return {
    meshId,
    meshName: mesh.name,
    nodeId,
    name,
    owner,
    keyPem: nodeKey.toPem(),
    // Whoever knows an older root finds its way to that, whoever knows the newest to this.
    chainPem: toPem(mesh.chain.leaf, ...issuers, ...roots.crosses),
    // A peer may show an older certificate of its issuer than the one that leads to a root which is trusted now.
    rootPem: toPem(...roots.trusted, ...roots.issuers),
  };
}
