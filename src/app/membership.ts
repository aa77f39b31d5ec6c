/** Making, opening and entering a mesh: keys and certificates meet the store and the network port here. */
import { createMesh, dropIssuerKey, forgetMeshKeys, rootKeysHere, keepIssuerKey, meshIdentityOf, openIssuer, wishIssuerKey } from '../trust/mesh-authority.ts';
import type { Issuer } from '../trust/mesh-authority.ts';
import { enrol } from '../trust/enrol.ts';
import { askToJoin, IssuerRefusal } from '../trust/issuer-call.ts';
import type { Admission as Entrance, IssuerCall, KnownIssuer, Wish } from '../trust/issuer-call.ts';
import { after } from '../trust/issue.ts';
import { authoritiesOf } from '../trust/authorities.ts';
import { rootsOf } from './node-self.ts';
import { describeMesh } from './mesh-choice.ts';
import type { FoundMesh } from './mesh-choice.ts';
import type { RefusedKey } from './refused-key.ts';
import type { Detour } from '../trust/https-call.ts';
import { fingerprintOf, flawOfOwner } from '../trust/certificate.ts';
import { decodeToken, encodeToken, hashOfSecret, newSecret } from '../trust/token.ts';
import type { NodeKey } from '../trust/node-key.ts';
import type { BrokerApi } from '../broker/api.ts';
import { isRemovedKey } from '../broker/removal.ts';
import type { CertificateWish } from '../broker/renaming.ts';
import type { Chronicler } from '../broker/chronicler.ts';
import type { Act } from '../domain/audit.ts';
import type { BrokerError } from '../domain/errors.ts';
import { conflict, denied, invalid, toBrokerError, unavailable } from '../domain/errors.ts';
import { outsideError, whereIssuersAre } from '../domain/membership.ts';
import { formatHostPort } from '../domain/host-port.ts';
import type { HostPort } from '../domain/host-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Member, Membership, Store } from '../domain/store-port.ts';
import { asMeshId } from '../domain/ids.ts';
import type { CertificateChain, MeshIdentity } from '../domain/trust.ts';

const inviteMs = 60 * 60 * 1000;
const longestInviteMs = 30 * 24 * 60 * 60 * 1000;
const meshName = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$/;

/** Of `ann@example.com`: `ann-mesh`. */
function usualName(owner: string): string {
  return `${owner.replace(/^tag:/, '').replace(/@.*$/, '').replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 50)}-mesh`;
}

export interface MembershipParts {
  readonly store: Store;
  readonly trustDir: string;
  readonly nodeKey: NodeKey;
  readonly clock: Clock;
  readonly chronicler: Chronicler;
  readonly log: Log;
  readonly nodeName: () => string;
  /** Of a node without a mesh: whom this machine belongs to. */
  readonly owner: () => string | Promise<string>;
  /** Meshes that this node could enter instead of making one. */
  readonly otherMeshes: () => Promise<readonly FoundMesh[]>;
  /** Where peers can reach this node; may be empty while it is down. */
  readonly addresses: () => readonly HostPort[] | Promise<readonly HostPort[]>;
  /** For addresses that are not reached directly. */
  readonly detour: Detour;
  /** That a mesh refused this node's key as removed from it. */
  readonly refusedKey: Pick<RefusedKey, 'check' | 'note' | 'forget'>;
  /** The node is a member from now on. */
  readonly onJoined: (identity: MeshIdentity, members: readonly Member[]) => void;
}

export class MeshMembership implements Pick<BrokerApi, 'createMesh' | 'createInvite' | 'joinMesh'> {
  readonly #parts: MembershipParts;
  #issuer: Issuer | undefined;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  get issuer(): Issuer | undefined {
    return this.#issuer;
  }

  /** The identity that the store holds. @throws BrokerError when certificates and keys do not fit */
  async load(): Promise<MeshIdentity | undefined> {
    const membership = this.#parts.store.read.membership();
    return membership === undefined ? undefined : this.#take(membership);
  }

  /** Under the name wished for, by this node's own issuer. Undefined when it is none. */
  async certify({ laterThanMs, ...subject }: CertificateWish): Promise<CertificateChain | undefined> {
    return this.#issuer?.issue(subject, after(laterThanMs, this.#parts.clock.now()));
  }

  /** What of this mesh only the keys on this machine can do. */
  async lossesOfKeys({ meshName, isIssuer }: Membership, others: readonly Member[]): Promise<readonly string[]> {
    if (!isIssuer) return [];
    if (!others.some((each) => each.isIssuer === true)) {
      return [`no other node lets others into ${meshName}: without this one nobody can enter it, be renamed or have a certificate renewed`];
    }
    const isFounder = (await rootKeysHere(this.#parts.trustDir, rootsOf(this.#parts.store))).length > 0;
    return isFounder ? [`the root key of ${meshName} is on this machine alone: the issuers that it has go on, and there will never be another`] : [];
  }

  /** This node lets nobody in any more. */
  close(): void {
    this.#issuer = undefined;
  }

  /** Its key to issue with is nobody's any more: to let others in again it has to be made an issuer with another. */
  async cease(): Promise<void> {
    this.close();
    const membership = this.#parts.store.read.membership();
    if (membership !== undefined) await dropIssuerKey(this.#parts.trustDir, asMeshId(membership.meshId));
  }

  /** The keys of a mesh that this node is not in any more. */
  async forget({ meshId }: Pick<Membership, 'meshId'>): Promise<void> {
    this.#issuer = undefined;
    await forgetMeshKeys(this.#parts.trustDir, asMeshId(meshId));
  }

  async createMesh(input: { name?: string; new: boolean }, act?: Act): ReturnType<BrokerApi['createMesh']> {
    const { store, trustDir, nodeKey, clock, chronicler, refusedKey, onJoined } = this.#parts;
    this.#refuseSecond();
    const nodeName = this.#parts.nodeName();
    const owner = await this.#parts.owner();
    const name = input.name ?? usualName(owner);
    if (!meshName.test(name)) throw invalid(`${JSON.stringify(name)} can’t be the name of a mesh`, 'letters, digits, space . _ -, at most 64');
    if (!input.new) await this.#refuseAnother();
    const made = await createMesh({ directory: trustDir, nodeKey, nodeName, owner, nowMs: clock.now() });
    const { meshId, root, chain } = made;
    const membership: Membership = { meshId, meshName: name, name: nodeName, owner, rootDer: root, chain, isIssuer: true, issuerDer: chain.issuer };
    await refusedKey.forget();
    await store.write.saveMembership({ stamp: chronicler.stamp(), act, membership, members: [], what: 'mesh.created' });
    onJoined(await this.#take(membership), []);
    return { meshId, name, owner, nodeName };
  }

  async createInvite(input: { ttlMs?: number; forPerson?: string }, act?: Act): ReturnType<BrokerApi['createInvite']> {
    const { store, clock, chronicler } = this.#parts;
    const membership = store.read.membership();
    if (membership === undefined) throw outsideError(store.read.removedFrom());
    if (this.#issuer === undefined) throw denied('this node can’t admit others: it is no issuer', whereIssuersAre(store.read.members()));
    const ttlMs = input.ttlMs ?? inviteMs;
    if (ttlMs > longestInviteMs) throw invalid('a token lives 30 days at most', 'for example: --ttl 1h');
    const owner = input.forPerson ?? membership.owner;
    const flaw = flawOfOwner(owner);
    if (flaw !== undefined) throw invalid(`--for ${JSON.stringify(owner)}: ${flaw}`);
    const addresses = await this.#parts.addresses();
    if (addresses.length === 0) throw unavailable('nobody could reach this node with a token: it listens nowhere', 'start it first: beckon up --detach --listen ADDRESS:7423');
    const secret = newSecret();
    const expiresAtMs = clock.now() + ttlMs;
    const token = encodeToken({ rootFingerprint: fingerprintOf(this.#issuer.root), secret, addresses });
    await store.write.addInvite({ stamp: chronicler.stamp(), act, invite: { secretHash: hashOfSecret(secret), owner, expiresAtMs } });
    return { token, expiresAtMs, addresses: addresses.map(formatHostPort) };
  }

  async joinMesh(token: string, act?: Act): ReturnType<BrokerApi['joinMesh']> {
    const { clock, detour } = this.#parts;
    const invitation = decodeToken(token.trim());
    this.#refuseSecond();
    return this.#entered(await enrol({ ...(await this.#wish()), invitation, clock, detour }).catch((error: unknown) => this.#notEntered(error)), act);
  }

  /** Without a token, by the word of the tailnet. @throws IssuerRefusal in the issuer's own words; any error of the connection */
  async enter(known: KnownIssuer, call: IssuerCall): ReturnType<BrokerApi['joinMesh']> {
    this.#refuseSecond();
    const admission = await askToJoin(known, await this.#wish(), call).catch(async (error: unknown) => {
      if (error instanceof IssuerRefusal) await this.refused(error.error);
      throw error;
    });
    return this.#entered(admission);
  }

  /** By a mesh that this node wanted to enter. That its key was removed there is remembered: `mesh leave` gives it another. */
  async refused(error: BrokerError): Promise<void> {
    if (isRemovedKey(error)) await this.#parts.refusedKey.note();
  }

  /** Stored, and spoken under from now on. @param first what has to be known before anybody is spoken to */
  async enterAs(membership: Membership, members: readonly Member[], { first, act }: { readonly first?: () => Promise<void>; readonly act?: Act | undefined } = {}): Promise<void> {
    const { store, chronicler, refusedKey, onJoined } = this.#parts;
    await refusedKey.forget();
    await store.write.saveMembership({ stamp: chronicler.stamp(), act, membership, members, what: 'mesh.joined' });
    await first?.();
    onJoined(await this.#take(membership), store.read.members());
  }

  /** Somebody may stand in between: its owner hears of it, whoever typed the token. */
  async #notEntered(error: unknown): Promise<never> {
    const known = toBrokerError(error);
    const { code, message } = known;
    await this.refused(known);
    if (isRemovedKey(known)) this.#parts.log.warn({ code, why: message }, 'a mesh was not entered: the key of this node was removed from it');
    else if (code === 'unauthenticated') this.#parts.log.warn({ code, why: message }, 'a mesh was not entered: who answers is not the one that the token names');
    throw error;
  }

  async #wish(): Promise<Wish> {
    const { trustDir, nodeKey } = this.#parts;
    return { nodeKey, name: this.#parts.nodeName(), addresses: await this.#parts.addresses(), issuerKey: (meshId) => wishIssuerKey(trustDir, meshId) };
  }

  async #entered(admission: Entrance, act?: Act): ReturnType<BrokerApi['joinMesh']> {
    const { trustDir } = this.#parts;
    const { identity, issuer } = admission;
    if (issuer !== undefined) await keepIssuerKey(trustDir, admission.meshId, issuer.key);
    const membership: Membership = {
      meshId: admission.meshId,
      meshName: admission.meshName,
      name: identity.name,
      owner: identity.owner,
      rootDer: admission.root,
      ...(admission.authorities === undefined ? {} : { authorities: admission.authorities }),
      chain: admission.chain,
      isIssuer: issuer !== undefined,
      ...(issuer === undefined ? {} : { issuerDer: issuer.certificate }),
    };
    const members = admission.members.map((each): Member => ({
      nodeId: each.identity.nodeId,
      name: each.identity.name,
      owner: each.identity.owner,
      chain: each.chain,
      notBeforeMs: each.identity.notBeforeMs,
      ...(each.identity.namedSinceMs === undefined ? {} : { namedSinceMs: each.identity.namedSinceMs }),
      addresses: each.addresses.map(formatHostPort),
    }));
    await this.enterAs(membership, members, { act });
    return { meshId: admission.meshId, meshName: admission.meshName, nodeName: identity.name, owner: identity.owner };
  }

  /** @throws BrokerError `conflict` */
  checkKey(): void {
    this.#parts.refusedKey.check();
  }

  #refuseSecond(): void {
    const membership = this.#parts.store.read.membership();
    if (membership !== undefined) throw conflict(`this node is in the mesh ${membership.meshName} already`, 'to enter another, or this one anew: beckon mesh leave first; who is in it: beckon mesh members');
    const from = this.#parts.store.read.removedFrom();
    if (from !== undefined) throw conflict(`this node was removed from ${from.meshName} by ${from.by}, and has not left it yet`, 'forget that mesh first: beckon mesh leave, then beckon restart');
    this.checkKey();
  }

  async #refuseAnother(): Promise<void> {
    const others = await this.#parts.otherMeshes();
    if (others.length === 0) return;
    const words = `there is a mesh already: ${others.map(describeMesh).join(', ')}`;
    throw conflict(words, 'beckon up enters it by itself, or says what it waits for; another mesh all the same: beckon mesh create --new');
  }

  async #take(membership: Membership): Promise<MeshIdentity> {
    const { trustDir, nodeKey } = this.#parts;
    const roots = authoritiesOf(membership.rootDer, membership.authorities);
    this.#issuer = membership.isIssuer ? await openIssuer(trustDir, roots, membership.issuerDer ?? membership.chain.issuer, this.#parts.clock.now(), membership.authorities) : undefined;
    if (membership.isIssuer && this.#issuer === undefined) {
      this.#parts.log.warn({ meshId: membership.meshId }, 'the issuer key is gone: this node can admit nobody');
    }
    return meshIdentityOf(nodeKey, { name: membership.meshName, root: roots, chain: membership.chain });
  }
}

