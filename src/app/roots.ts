/** Where a root's key is: another root that it vouches for, the end of an older one, and the end of an issuer that it made. */
import { generateKeyPairSync } from 'node:crypto';
import type { Authorities, AuthorityPorts } from '../broker/authorities.ts';
import type { MembershipPorts } from '../broker/membership.ts';
import type { AuthorityApi, RemovedIssuer } from '../broker/issuer-api.ts';
import type { Act } from '../domain/audit.ts';
import { BrokerError, conflict, denied, toBrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Clock, Log } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { CertificateChain, RootView } from '../domain/trust.ts';
import { authoritiesOf, encodeAuthorities, mergeAuthorities, signRetirement, signWithdrawal } from '../trust/authorities.ts';
import type { Authorities as KnownRoots } from '../trust/authorities.ts';
import { authorityName, fingerprintText, lifeIn, lifeOf, readCertificate, type RootSet, verifyChain } from '../trust/certificate.ts';
import { makeIssuer, makeNextRoot } from '../trust/issue.ts';
import type { Authority } from '../trust/issue.ts';
import { dropKeyOfRoot, keepKeyOfRoot, rootKeysHere } from '../trust/mesh-authority.ts';
import { publicKeyObject, rawPublicKey } from '../trust/node-key.ts';
import { openRevocation } from '../trust/revocation.ts';
import { rootsOf } from './node-self.ts';
import type { MeshMembership } from './membership.ts';
import type { Standing } from './standing.ts';

export interface RootsParts {
  readonly store: Store;
  readonly trustDir: string;
  readonly nodeId: NodeId;
  readonly clock: Clock;
  readonly log: Log;
  /** As people are told who wanted it. */
  readonly by: () => string;
  /** By name or id. @throws `not_found` with the nearest names */
  readonly find: (text: string) => NodeId;
  readonly authorities: () => Pick<Authorities, 'add'>;
}

/** As `AuthorityApi`, and told whose act it is. */
export class MeshRoots {
  readonly #parts: RootsParts;
  #working: Promise<void> | undefined;

  constructor(parts: RootsParts) {
    this.#parts = parts;
  }

  as(act: Act | undefined): AuthorityApi {
    return {
      roots: () => this.roots(),
      renewRoot: () => this.renewRoot(act),
      retireRoot: (input) => this.retireRoot(input, act),
      removeIssuer: (input) => this.removeIssuer(input, act),
    };
  }

  async roots(): Promise<readonly RootView[]> {
    const roots = rootsOf(this.#parts.store);
    const here = new Set((await this.#keys(roots)).map(({ certificate }) => fingerprintText(certificate)));
    const known = this.#issuers();
    return roots.roots.map((root): RootView => {
      const certificate = readCertificate(root.der);
      const isInUse = root.der === roots.trusted[0];
      const certified = new Set([...known, ...roots.issuers].filter((each) => isBy(each, root.der)).map(keyOf));
      return {
        fingerprint: root.fingerprint,
        ...lifeIn(certificate),
        state: root.isTrusted ? (isInUse ? 'in_use' : 'accepted') : 'retired',
        ...(root.signedBy === undefined ? {} : { signedBy: root.signedBy }),
        isKeyHere: here.has(root.fingerprint),
        issuers: certified.size,
      };
    });
  }

  async renewRoot(act?: Act): ReturnType<AuthorityApi['renewRoot']> {
    const { store, trustDir, clock, authorities } = this.#parts;
    const roots = rootsOf(store);
    const signer = await this.#signer(roots);
    if (roots.trusted.length > 1) throw conflict('another root follows the one in use already', 'see which: beckon mesh root list; when all have heard of it, end the older one: beckon mesh root retire');
    const key = generateKeyPairSync('ed25519').privateKey;
    const { root, cross } = await makeNextRoot(key, signer, clock.now());
    // Before anybody could trust it.
    await keepKeyOfRoot(trustDir, roots, root, key);
    const issuers = await this.#missing({ certificate: root, key }, []);
    const fingerprint = fingerprintText(root);
    await authorities().add(encodeAuthorities({ roots: [{ root, cross }], issuers }), { what: 'root.renewed', detail: { root: fingerprint }, ...(act === undefined ? {} : { act }) });
    const made = (await this.roots()).find((each) => each.fingerprint === fingerprint);
    if (made === undefined) throw new BrokerError('internal', 'the new root does not prove itself');
    return { root: made, signedBy: fingerprintText(signer.certificate) };
  }

  async retireRoot({ force }: { readonly force: boolean }, act?: Act): ReturnType<AuthorityApi['retireRoot']> {
    const { store, trustDir, clock, by, authorities } = this.#parts;
    await this.#certifyMissing();
    const roots = rootsOf(store);
    const signer = await this.#signer(roots);
    const others = roots.trusted.filter((each) => each !== signer.certificate);
    if (others.length === 0) throw conflict('there is one root only, and none to retire', 'make another first: beckon mesh root renew');
    const lost = this.#lostWithout(roots, signer.certificate);
    if (lost.length > 0 && !force) throw conflict(`without the older root nobody vouches for ${lost.join(', ')}`, 'let them be renewed by another issuer first: they have to be up; or with --force: they need an invitation then');
    const known = [...this.#issuers(), ...this.#spoke()];
    const words = others.map((root) => signRetirement(roots, { root: signer.certificate, key: signer.key }, { root, kept: [], issuers: known.filter((each) => isBy(each, root)), by: by(), atMs: clock.now() }));
    const retired = others.map(fingerprintText);
    await authorities().add(encodeAuthorities({ words }), { what: 'root.retired', detail: { roots: retired.join(', ') }, ...(act === undefined ? {} : { act }) });
    for (const root of others) await dropKeyOfRoot(trustDir, roots, root);
    return { kept: fingerprintText(signer.certificate), retired, lost };
  }

  async removeIssuer({ node, compromised }: { readonly node: string; readonly compromised: boolean }, act?: Act): Promise<RemovedIssuer> {
    const { store, nodeId: self, clock, by, find, authorities } = this.#parts;
    const roots = rootsOf(store);
    const nodeId = find(node);
    const membership = store.read.membership();
    const member = nodeId === self ? undefined : store.read.member(nodeId);
    const name = (nodeId === self ? membership?.name : member?.name) ?? nodeId;
    if (member?.removed !== undefined && !compromised) throw denied(`${name} was removed from the mesh`, `if its key may still let others in: beckon mesh issuer rm ${name} --compromised`);
    const certificate = nodeId === self ? (membership?.isIssuer === true ? (membership.issuerDer ?? membership.chain.issuer) : undefined) : compromised ? member?.issuedAs : member?.issuerDer;
    const known = certificate === undefined ? undefined : roots.withdrawn.find(({ certifies, isCompromised }) => certifies === authorityName(certificate) && (isCompromised || !compromised));
    if (certificate === undefined || known !== undefined) return { nodeId, name, already: true, renewedByOthers: [] };
    const signer = await this.#signer(roots);
    const remaining = [...store.read.members().filter((each) => each.isIssuer === true && belongs(each)).map((each) => each.nodeId), ...(membership?.isIssuer === true ? [self] : [])].filter((each) => each !== nodeId);
    if (remaining.length === 0) throw conflict(`no other node lets others in: without ${name} nobody could enter, or be renewed`, 'make another first: beckon mesh issuer add NODE');
    const own = membership === undefined ? [] : [{ nodeId: self, name: membership.name, chain: membership.chain }];
    const signed = [...own, ...store.read.members().filter((each) => each.nodeId !== self && belongs(each))].filter(({ chain }) => keyOf(chain.issuer) === keyOf(certificate));
    const word = signWithdrawal(roots, { root: signer.certificate, key: signer.key }, { nodeId, name, issuer: certificate, kept: signed.map(({ chain }) => chain.leaf), isCompromised: compromised, by: by(), atMs: clock.now() });
    await authorities().add(encodeAuthorities({ words: [word] }), { what: 'issuer.removed', detail: { name }, ...(act === undefined ? {} : { act }) });
    return { nodeId, name, already: false, renewedByOthers: signed.map((each) => each.name) };
  }

  /** Issuers that came since are certified by the later roots too; asked now and then. */
  look(): void {
    const { store, log } = this.#parts;
    if (this.#working !== undefined || (store.read.membership()?.authorities === undefined)) return;
    this.#working = this.#certifyMissing()
      .catch((error: unknown) => log.warn({ why: toBrokerError(error).message }, 'issuers could not be certified by the new root yet; it is tried again'))
      .finally(() => (this.#working = undefined));
  }

  async stop(): Promise<void> {
    await this.#working;
  }

  async #certifyMissing(): Promise<void> {
    const roots = rootsOf(this.#parts.store);
    for (const root of await this.#keys(roots)) {
      if (Buffer.from(root.certificate).equals(roots.first)) continue;
      const issuers = await this.#missing(root, roots.issuers);
      if (issuers.length > 0) await this.#parts.authorities().add(encodeAuthorities({ issuers }), { what: 'root.learned' });
    }
  }

  /** Certificates by that root for issuers that have none of it, or one that ends before the other that they have. */
  async #missing(root: Authority, others: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const { clock } = this.#parts;
    const known = this.#issuers();
    const byKey = new Map(known.map((each) => [keyOf(each), each]));
    const have = [...known, ...others].filter((each) => isBy(each, root.certificate));
    const made: Uint8Array[] = [];
    for (const [key, each] of byKey) {
      const endMs = Math.max(...known.filter((other) => keyOf(other) === key).map(endOf));
      if (have.some((other) => keyOf(other) === key && endOf(other) >= endMs)) continue;
      made.push(await makeIssuer(publicKeyObject(rawPublicKey(readCertificate(each).publicKey)), root, clock.now()));
    }
    return made;
  }

  /** Certificates of issuers that count: as they say of themselves, and those that signed members. */
  #issuers(): readonly Uint8Array[] {
    const { store } = this.#parts;
    const membership = store.read.membership();
    const members = store.read.members().filter(belongs);
    const all = [...(membership === undefined ? [] : [membership.chain.issuer, ...(membership.issuerDer === undefined ? [] : [membership.issuerDer])]), ...members.flatMap(({ chain, issuerDer }) => [chain.issuer, ...(issuerDer === undefined ? [] : [issuerDer])])];
    const gone = new Set([
      ...store.read.fallenIssuers().flatMap(({ revocation: { fallen } }) => (fallen === undefined ? [] : [keyOf(fallen.issuer)])),
      ...store.read.members().flatMap(({ removed, issuedAs }) => (removed === undefined || issuedAs === undefined ? [] : [keyOf(issuedAs)])),
    ]);
    const ofThis = rootsOf(store).withdrawn.filter(({ isCompromised }) => isCompromised).map(({ certifies }) => certifies);
    return all.filter((each) => !gone.has(keyOf(each)) && !ofThis.includes(authorityName(each)));
  }

  /** Of issuers that said who is removed. */
  #spoke(): readonly Uint8Array[] {
    const { store } = this.#parts;
    const roots = rootsOf(store);
    return store.read.revocations().flatMap(({ record }) => {
      try {
        const { issuer, fallen } = openRevocation(record, roots);
        return [issuer, ...(fallen === undefined ? [] : [fallen.issuer])];
      } catch (error) {
        // What nobody else would believe now they would not believe then.
        if (error instanceof BrokerError) return [];
        throw error;
      }
    });
  }

  /** Names of members whom no other root than these would vouch for. */
  #lostWithout(roots: RootSet, kept: Uint8Array): string[] {
    const { store, clock } = this.#parts;
    const only: RootSet = { ...roots, trusted: [kept], issuers: roots.issuers.filter((each) => isBy(each, kept)), retired: [] };
    const membership = store.read.membership();
    const own = membership === undefined ? [] : [membership];
    return [...own, ...store.read.members().filter((each) => belongs(each) && each.nodeId !== this.#parts.nodeId)].filter(({ chain }) => !holds(chain, only, clock.now())).map(({ name }) => name);
  }

  #keys(roots: KnownRoots): Promise<readonly Authority[]> {
    return rootKeysHere(this.#parts.trustDir, roots);
  }

  async #signer(roots: KnownRoots): Promise<Authority> {
    const [newest] = await this.#keys(roots);
    if (newest === undefined) throw denied('the key of the mesh is not on this machine', 'say it on the node that made the mesh, or on one where its recovery file was imported: beckon mesh recovery import FILE');
    return newest;
  }
}

/** What the core asks of roots. */
export function authorityPorts({ store, membership, network, standing, clock }: { readonly store: Store; readonly membership: MeshMembership; readonly network: () => { setIdentity(identity: Awaited<ReturnType<MeshMembership['load']>>): void; readonly mesh: { sessions(): readonly CutSession[] } }; readonly standing: Standing; readonly clock: Clock }): AuthorityPorts & Pick<MembershipPorts, 'isForsaken' | 'isFallen' | 'isDisowned'> {
  const membershipNow = () => store.read.membership();
  return {
    isForsaken: (certifiedBy) => standing.isForsaken(certifiedBy),
    isFallen: (certifiedBy) => standing.isFallen(certifiedBy),
    isDisowned: (own) => standing.revocationOf(own) !== undefined,
    mergeAuthorities: (received) => {
      const own = membershipNow();
      return own === undefined ? undefined : mergeAuthorities(own.rootDer, own.authorities, received);
    },
    withdrawnIssuers: (bytes) => {
      const own = membershipNow();
      return own === undefined ? [] : authoritiesOf(own.rootDer, bytes ?? own.authorities).withdrawn;
    },
    trustedRoots: (bytes) => {
      const own = membershipNow();
      return own === undefined ? [] : authoritiesOf(own.rootDer, bytes ?? own.authorities).trusted.map(fingerprintText);
    },
    issuesAs: () => {
      const own = membershipNow();
      return own?.isIssuer === true ? authorityName(own.issuerDer ?? own.chain.issuer) : undefined;
    },
    onAuthorities: async (ceased) => {
      if (ceased) await membership.cease();
      network().setIdentity(await membership.load());
      const roots = rootsOf(store);
      for (const session of network().mesh.sessions()) {
        const chain = store.read.member(session.peer.nodeId)?.chain;
        const why = standing.refusal(session.peer) ?? (chain === undefined || holds(chain, roots, clock.now()) ? undefined : `no root that is trusted now vouches for the certificate of ${session.peer.name}`);
        if (why !== undefined) session.cut(why);
      }
    },
  };
}

interface CutSession {
  readonly peer: Parameters<Standing['refusal']>[0];
  readonly cut: (why: string) => void;
}

/** Whether it leads to a root, whenever it is in force. */
function holds(chain: CertificateChain, roots: RootSet, nowMs: number): boolean {
  try {
    verifyChain(chain, roots, Math.min(nowMs, lifeOf(chain.leaf).notAfterMs));
    return true;
  } catch (error) {
    if (error instanceof BrokerError) return false;
    throw error;
  }
}

const keyOf = (der: Uint8Array): string => Buffer.from(rawPublicKey(readCertificate(der).publicKey)).toString('hex');

const endOf = (der: Uint8Array): number => lifeOf(der).notAfterMs;

const isBy = (der: Uint8Array, root: Uint8Array): boolean => readCertificate(der).verify(readCertificate(root).publicKey);
