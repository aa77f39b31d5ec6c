/** The recovery file of a mesh: written where the root's key is, and made an issuer of on any machine. */
import type { BrokerApi } from '../broker/api.ts';
import type { Chronicler } from '../broker/chronicler.ts';
import { removedKey } from '../broker/removal.ts';
import type { Act } from '../domain/audit.ts';
import { BrokerError, conflict, denied } from '../domain/errors.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import { belongs, outsideError } from '../domain/membership.ts';
import type { Clock } from '../domain/ports.ts';
import type { SignedRecord } from '../domain/registration.ts';
import type { Member, Membership, Store } from '../domain/store-port.ts';
import { authoritiesOf, mergeAuthorities } from '../trust/authorities.ts';
import { meshIdOf, readCertificate, recogniseChain, type RootSet } from '../trust/certificate.ts';
import { makeIssuer, makeLeaf } from '../trust/issue.ts';
import { dropKeyOfRoot, keepIssuerKey, keepKeyOfRoot, rootKeysHere, wishIssuerKey } from '../trust/mesh-authority.ts';
import type { NodeKey } from '../trust/node-key.ts';
import { readRecoveryFile, writeRecoveryFile } from '../trust/recovery-file.ts';
import type { Recovery } from '../trust/recovery-file.ts';
import { openRevocation } from '../trust/revocation.ts';
import type { MeshMembership } from './membership.ts';
import { rootsOf } from './node-self.ts';

export interface RecoveryParts {
  readonly store: Store;
  readonly trustDir: string;
  readonly nodeKey: NodeKey;
  readonly clock: Clock;
  readonly chronicler: Chronicler;
  readonly nodeName: () => string;
  readonly addresses: () => readonly HostPort[] | Promise<readonly HostPort[]>;
  readonly membership: Pick<MeshMembership, 'checkKey' | 'load' | 'enterAs' | 'refused'>;
  /** A signed word that a node is no member: verified, stored, acted on. */
  readonly revoked: (record: SignedRecord) => Promise<unknown>;
  /** What the file knew of roots. */
  readonly learned: (authorities: Uint8Array) => Promise<unknown>;
  /** All who are linked are to know that this node is an issuer. */
  readonly announce: () => void;
}

type Recovering = Pick<BrokerApi, 'exportRecovery' | 'importRecovery'>;

export class MeshRecovery implements Recovering {
  readonly #parts: RecoveryParts;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  async exportRecovery({ path, passphrase, move }: Parameters<Recovering['exportRecovery']>[0], act?: Act): ReturnType<Recovering['exportRecovery']> {
    const { store, trustDir, clock, chronicler, addresses } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) throw outsideError(store.read.removedFrom());
    const roots = rootsOf(store);
    const keys = await rootKeysHere(trustDir, roots);
    const oldest = keys.at(-1);
    if (oldest === undefined) throw denied('the key of the mesh is not on this machine', 'say it on the node that made the mesh, or on one where its recovery file was imported');
    const own = { chain: membership.chain, addresses: (await addresses()).map(formatHostPort), ...(membership.isIssuer ? { issuerDer: membership.issuerDer ?? membership.chain.issuer } : {}) };
    const members = [own, ...store.read.members().filter(belongs).map(({ chain, addresses: at, issuerDer }) => ({ chain, addresses: at, ...(issuerDer === undefined ? {} : { issuerDer }) }))];
    const revocations = store.read.revocations().map(({ record }) => record);
    const { meshName, owner, rootDer: first, authorities } = membership;
    const later = authorities === undefined ? {} : { later: { first, authorities, keys: keys.slice(0, -1) } };
    await writeRecoveryFile(path, { meshName, owner, rootKey: oldest.key, root: oldest.certificate, ...later, members, revocations }, passphrase, clock.now());
    await store.write.recovered({ stamp: chronicler.stamp(), what: 'recovery.exported', detail: { moved: String(move) }, audit: { kind: 'recovery.exported', about: { moved: String(move) }, ...act } });
    if (move) for (const { certificate } of keys) await dropKeyOfRoot(trustDir, roots, certificate);
    return { path, meshName, members: members.length };
  }

  async importRecovery({ path, passphrase }: Parameters<Recovering['importRecovery']>[0], act?: Act): ReturnType<Recovering['importRecovery']> {
    const { store, trustDir, clock, chronicler } = this.#parts;
    const from = store.read.removedFrom();
    if (from !== undefined) throw conflict(`this node was removed from ${from.meshName} by ${from.by}, and has not left it yet`, 'forget that mesh first: beckon mesh leave, then beckon restart');
    const recovery = await readRecoveryFile(path, passphrase);
    const { root, rootKey, later, meshName } = recovery;
    const first = later?.first ?? root;
    const meshId = meshIdOf(readCertificate(first));
    const own = store.read.membership();
    if (own !== undefined && own.meshId !== meshId) throw conflict(`this node is in the mesh ${own.meshName}, and the file is that of ${meshName}`, 'use a machine that is in none; or leave first: beckon mesh leave');
    // What this node knows of roots besides counts, too: the file may be older than a root that was retired.
    const known = own?.authorities === undefined ? later?.authorities : later === undefined ? own.authorities : (mergeAuthorities(first, own.authorities, later.authorities) ?? own.authorities);
    const roots = authoritiesOf(first, known);
    const keys = [{ certificate: root, key: rootKey }, ...(later?.keys ?? [])].filter(({ certificate }) => roots.trusted.some((each) => Buffer.from(each).equals(certificate)));
    const [signer] = keys;
    if (signer === undefined) throw denied('the key in that file is of a root of this mesh that was retired', 'use the file that was written after another root had come: beckon mesh root list, on a member, says which count');
    const entering = own === undefined ? await this.#entering(recovery, roots) : undefined;
    for (const each of keys) await keepKeyOfRoot(trustDir, roots, each.certificate, each.key);
    if (own !== undefined && later !== undefined) await this.#parts.learned(later.authorities);
    const issuerKey = await wishIssuerKey(trustDir, meshId);
    await keepIssuerKey(trustDir, meshId, issuerKey);
    const certificate = await makeIssuer(issuerKey, signer, clock.now());
    if (own === undefined && entering !== undefined) {
      const { name, owner, members } = entering;
      const subject = { publicKey: this.#parts.nodeKey.publicKey, name, owner };
      const leaf = await makeLeaf(subject, { certificate, key: issuerKey }, roots, clock.now());
      const membership: Membership = { meshId, meshName, name, owner, rootDer: first, ...(known === undefined ? {} : { authorities: known }), chain: { leaf, issuer: certificate }, isIssuer: true, issuerDer: certificate };
      await this.#parts.membership.enterAs(membership, members, { act, first: async () => {
        for (const { nodeId, issuerDer } of members) if (issuerDer !== undefined) await store.write.saveIssuer({ nodeId, certificate: issuerDer });
        for (const record of recovery.revocations) await this.#parts.revoked(record);
      } });
    } else await store.write.becomeIssuer({ stamp: chronicler.stamp(), act, certificate });
    await store.write.recovered({ stamp: chronicler.stamp(), what: 'recovery.imported', audit: { kind: 'recovery.imported', about: { mesh: meshName, meshId }, ...act } });
    await this.#parts.membership.load();
    this.#parts.announce();
    const { name: nodeName, owner } = own ?? entering ?? { name: '', owner: '' };
    return { meshId, meshName, nodeName, owner, members: store.read.members().filter(belongs).length, wasMember: own !== undefined };
  }

  /** Looked at before anything is written. @throws BrokerError `conflict` for a name that is another's, `unauthenticated` for a key that was removed */
  async #entering({ owner, members, revocations }: Recovery, roots: RootSet): Promise<{ readonly name: string; readonly owner: string; readonly members: readonly Member[] }> {
    const { nodeKey, clock, nodeName, membership } = this.#parts;
    membership.checkKey();
    const removed = new Map(revocations.map((record) => openRevocation(record, roots)).map((each) => [each.nodeId, each]));
    const ownRemoval = removed.get(nodeKey.nodeId);
    if (ownRemoval !== undefined) {
      const refusal = removedKey(ownRemoval.name, ownRemoval.by);
      await this.#parts.membership.refused(refusal);
      throw refusal;
    }
    const known = members.flatMap(({ chain, addresses, issuerDer }): Member[] => {
      try {
        const { nodeId, name, owner: of, notBeforeMs, namedSinceMs } = recogniseChain(chain, roots, clock.now());
        return nodeId === nodeKey.nodeId ? [] : [{ nodeId, name, owner: of, chain, notBeforeMs, ...(namedSinceMs === undefined ? {} : { namedSinceMs }), addresses, ...(issuerDer === undefined ? {} : { issuerDer }) }];
      } catch (error) {
        // One certificate that can't be read must not keep a mesh from being recovered.
        if (error instanceof BrokerError) return [];
        throw error;
      }
    });
    const name = nodeName();
    if (known.some((each) => each.name === name && !removed.has(each.nodeId))) {
      throw conflict(`a member of this mesh is called ${name}, a machine that may be lost`, 'take another name, beckon up --name OTHER, and give this machine its name when that one is removed: beckon mesh remove, beckon mesh rename');
    }
    return { name, owner, members: known };
  }
}
