/**
 * A mesh that is there before its nodes run: each home gets its key, its certificate and its agents as entering and
 * `agent add` would have left them, written by the node's own store. Over the wire, the entrance lets ten a minute in
 * from one address.
 */
import { join } from 'node:path';
import { ensurePrivateDir } from '../../../src/app/private-dir.ts';
import { paths as findPaths } from '../../../src/app/paths.ts';
import type { Paths } from '../../../src/app/paths.ts';
import { createSystemClock } from '../../../src/app/system-clock.ts';
import { createSystemUlids } from '../../../src/app/system-ulids.ts';
import { Chronicler } from '../../../src/broker/chronicler.ts';
import { agentIdOf } from '../../../src/domain/ids.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Member, Membership, Store } from '../../../src/domain/store-port.ts';
import type { CertificateChain } from '../../../src/domain/trust.ts';
import { openStore } from '../../../src/store/open.ts';
import { parseLeaf } from '../../../src/trust/certificate.ts';
import { createMesh, openIssuer } from '../../../src/trust/mesh-authority.ts';
import type { Issuer, MeshCertificates } from '../../../src/trust/mesh-authority.ts';
import { loadOrCreateNodeKey } from '../../../src/trust/node-key.ts';
import type { NodeKey } from '../../../src/trust/node-key.ts';
import { silentLog } from '../../support/temp-store.ts';

const meshName = 'bench';
const owner = 'ann';

export interface Founded {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly chain: CertificateChain;
}

export function placeOf(home: string): Paths {
  return findPaths({ BECKON_HOME: home }, process.platform, home, process.getuid?.() ?? 0);
}

export class Founding {
  readonly #clock = createSystemClock();
  readonly #ulids = createSystemUlids(this.#clock);
  #mesh: MeshCertificates | undefined;
  #issuer: Issuer | undefined;

  /** The node that makes the mesh. */
  async first(home: string, name: string, agents: number): Promise<Founded> {
    const { paths, nodeKey } = await this.#place(home);
    const mesh = await createMesh({ directory: paths.trustDir, nodeKey, nodeName: name, owner, nowMs: this.#clock.now() });
    this.#mesh = mesh;
    this.#issuer = await openIssuer(paths.trustDir, mesh.root, mesh.chain.issuer);
    return this.#write(paths, nodeKey, { name, chain: mesh.chain, isIssuer: true, members: [], agents });
  }

  /** One that was let in when the issuer knew itself alone. @param address where the issuer listens */
  async member(home: string, name: string, issuer: Founded & { readonly address: string }, agents: number): Promise<Founded> {
    if (this.#issuer === undefined) throw new Error('there is no mesh yet');
    const { paths, nodeKey } = await this.#place(home);
    const chain = await this.#issuer.issue({ publicKey: nodeKey.publicKey, name, owner }, this.#clock.now());
    const member: Member = { nodeId: issuer.nodeId, name: issuer.name, owner, chain: issuer.chain, notBeforeMs: parseLeaf(issuer.chain.leaf).notBeforeMs, addresses: [issuer.address], isIssuer: true };
    return this.#write(paths, nodeKey, { name, chain, isIssuer: false, members: [member], agents });
  }

  async #place(home: string): Promise<{ readonly paths: Paths; readonly nodeKey: NodeKey }> {
    const paths = placeOf(home);
    await ensurePrivateDir(paths.stateDir);
    await ensurePrivateDir(paths.trustDir);
    return { paths, nodeKey: await loadOrCreateNodeKey(paths.keyFile) };
  }

  async #write(paths: Paths, { nodeId }: NodeKey, node: { readonly name: string; readonly chain: CertificateChain; readonly isIssuer: boolean; readonly members: readonly Member[]; readonly agents: number }): Promise<Founded> {
    const { name, chain, isIssuer, members, agents } = node;
    if (this.#mesh === undefined) throw new Error('there is no mesh yet');
    const store = await openStore({ path: paths.dbFile, nodeId, log: silentLog });
    try {
      const chronicler = new Chronicler(this.#clock, store.read.lastHlc());
      await store.write.boot({ stamp: chronicler.stamp(), nodeId, version: '0.0.0-bench' });
      const { meshId, root: rootDer } = this.#mesh;
      const membership: Membership = { meshId, meshName, name, owner, rootDer, chain, isIssuer, ...(isIssuer ? { issuerDer: chain.issuer } : {}) };
      await store.write.saveMembership({ stamp: chronicler.stamp(), membership, members, what: isIssuer ? 'mesh.created' : 'mesh.joined' });
      await Promise.all(Array.from({ length: agents }, (_, index) => this.#add(store, chronicler, { nodeId, name, home: paths.stateDir, index })));
    } finally {
      await store.close();
    }
    return { nodeId, name, chain };
  }

  /** As large as those of a real project: a description, two labels, two capabilities. */
  #add(store: Store, chronicler: Chronicler, { nodeId, name, home, index }: { readonly nodeId: NodeId; readonly name: string; readonly home: string; readonly index: number }): Promise<unknown> {
    const address = `@project${Math.floor(index / 4)}@${name}#${['main', 'feature-login', 'feature-search', 'fix-flaky-tests'][index % 4]}`;
    return store.write.addAgent({
      stamp: chronicler.stamp(),
      endpoint: { agentId: agentIdOf(this.#ulids.next()), address, harness: 'command', cwd: join(home), argv: ['true'], env: [], path: '/usr/bin:/bin', permissions: 'ask', isolate: false },
      registration: { address, nodeId, harness: 'command', capabilities: ['code', 'review'], labels: { team: 'payments', stack: 'typescript' }, visibility: 'mesh', description: 'The service that takes the payments of the shop', isDefault: index % 4 === 0, available: true },
    });
  }
}
