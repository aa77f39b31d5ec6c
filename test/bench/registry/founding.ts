/**
 * A mesh that was up before: each home gets its key, its certificate, its agents, and all that it had heard of the others,
 * as entering, `agent add` and the sessions would have left them, written by the node's own store.
 */
import { ensurePrivateDir } from '../../../src/app/private-dir.ts';
import { paths as findPaths } from '../../../src/app/paths.ts';
import type { Paths } from '../../../src/app/paths.ts';
import { createRecordSeal } from '../../../src/app/record-seal.ts';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { createSystemUlids } from '../../../src/app/system-ulids.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { agentIdOf } from '../../../src/domain/ids.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Registration, RegistryHead, SignedRecord } from '../../../src/domain/registration.ts';
import { rootHash } from '../../../src/domain/registry-set.ts';
import type { Member, Membership, Store, StoredRegistration } from '../../../src/domain/store-port.ts';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { openStore } from '../../../src/store/open.ts';
import { parseLeaf } from '../../../src/trust/certificate.ts';
import { createMesh, openIssuer } from '../../../src/trust/mesh-authority.ts';
import type { Issuer, MeshCertificates } from '../../../src/trust/mesh-authority.ts';
import { loadOrCreateNodeKey } from '../../../src/trust/node-key.ts';
import { silentLog } from '../../support/temp-store.ts';

const meshName = 'bench';
const owner = 'ann';
const workspaces = ['main', 'feature-login', 'feature-search', 'fix-flaky-tests'];

export interface Place {
  readonly home: string;
  readonly name: string;
  /** host:port */
  readonly listen: string;
  readonly gossipListen: string;
}

export interface Founded extends Place {
  readonly nodeId: NodeId;
  readonly chain: CertificateChain;
  readonly agents: readonly StoredRegistration[];
  readonly head: { readonly head: RegistryHead; readonly signed: SignedRecord };
}

export function placeOf(home: string): Paths {
  return findPaths({ BECKON_HOME: home }, process.platform, home, process.getuid?.() ?? 0);
}

export class Founding {
  readonly #clock = createSystemClock();
  readonly #ulids = createSystemUlids(this.#clock);
  #mesh: MeshCertificates | undefined;
  #issuer: Issuer | undefined;

  /** Its key, its certificate, and what it signs of its agents. The first node makes the mesh and issues for the others. */
  async found(place: Place, agents: number): Promise<Founded> {
    const { trustDir, keyFile, stateDir } = placeOf(place.home);
    await ensurePrivateDir(stateDir);
    await ensurePrivateDir(trustDir);
    const nodeKey = await loadOrCreateNodeKey(keyFile);
    const { nodeId } = nodeKey;
    const { name } = place;
    const chain = await this.#issuer?.issue({ publicKey: nodeKey.publicKey, name, owner }, this.#clock.now());
    if (chain === undefined) {
      this.#mesh = await createMesh({ directory: trustDir, nodeKey, nodeName: name, owner, nowMs: this.#clock.now() });
      this.#issuer = await openIssuer(trustDir, this.#mesh.root, this.#mesh.chain.issuer);
    }
    const seal = createRecordSeal(nodeKey, () => this.#mesh?.meshId);
    const records = Array.from({ length: agents }, (_, index): StoredRegistration => {
      const registration = registrationOf(nodeId, name, index);
      const record = seal.sealRegistration(registration);
      return { registration, record, hash: seal.hash(record.payload) };
    });
    const root = rootHash(records.map(({ hash }) => hash), (content) => seal.hash(content));
    const head: RegistryHead = { nodeId, epoch: Math.trunc(this.#clock.now()), version: 1, count: records.length, rootHash: root, addresses: [place.listen], gossipAddresses: [place.gossipListen] };
    return { ...place, nodeId, chain: chain ?? this.#certificates.chain, agents: records, head: { head, signed: seal.sealHead(head) } };
  }

  /** @param heard what it knows the registrations of @param met whom it knows at all */
  async write(node: Founded, { heard, met, isIssuer }: { readonly heard: readonly Founded[]; readonly met: readonly Founded[]; readonly isIssuer: boolean }): Promise<void> {
    const { nodeId, name, chain } = node;
    const store = await openStore({ path: placeOf(node.home).dbFile, nodeId, log: silentLog });
    try {
      const chronicler = new Chronicler(this.#clock, store.read.lastHlc());
      await store.write.boot({ stamp: chronicler.stamp(), nodeId, version: '0.0.0-bench' });
      const { meshId, root: rootDer } = this.#certificates;
      const membership: Membership = { meshId, meshName, name, owner, rootDer, chain, isIssuer, ...(isIssuer ? { issuerDer: chain.issuer } : {}) };
      const members = met.filter((each) => each !== node).map((each) => memberOf(each));
      await store.write.saveMembership({ stamp: chronicler.stamp(), membership, members, what: isIssuer ? 'mesh.created' : 'mesh.joined' });
      await Promise.all(node.agents.map(({ registration }) => this.#add(store, chronicler, node.home, registration)));
      for (const { head: { head, signed }, agents } of heard) {
        await store.write.saveRegistry({ head, signedHead: signed, base: undefined, records: agents, gone: [], atMs: this.#clock.now() });
      }
    } finally {
      await store.close();
    }
  }

  get #certificates(): MeshCertificates {
    if (this.#mesh === undefined) throw new Error('there is no mesh yet');
    return this.#mesh;
  }

  #add(store: Store, chronicler: Chronicler, home: string, registration: Registration): Promise<unknown> {
    const { address } = registration;
    return store.write.addAgent({
      stamp: chronicler.stamp(),
      endpoint: { agentId: agentIdOf(this.#ulids.next()), address, harness: 'command', cwd: home, argv: ['true'], env: [], path: '/usr/bin:/bin', permissions: 'ask', isolate: false },
      registration,
    });
  }
}

function memberOf({ nodeId, name, chain, listen }: Founded): Member {
  return { nodeId, name, owner, chain, notBeforeMs: parseLeaf(chain.leaf).notBeforeMs, addresses: [listen] };
}

/** As large as those of a real project: a description, two labels, two capabilities. */
function registrationOf(nodeId: NodeId, name: string, index: number): Registration {
  return {
    address: `@project${Math.floor(index / workspaces.length)}@${name}#${workspaces[index % workspaces.length]}`,
    nodeId,
    harness: 'command',
    capabilities: ['code', 'review'],
    labels: { team: 'payments', stack: 'typescript' },
    visibility: 'mesh',
    description: 'The service that takes the payments of the shop',
    isDefault: index % workspaces.length === 0,
    available: true,
  };
}
