/** What a member tells of its own agents, signed as it does. */
import { createRecordSeal } from '../../../src/app/record-seal.ts';
import type { GossipNews } from '../../../src/domain/gossip-port.ts';
import type { MeshId } from '../../../src/domain/ids.ts';
import type { Registration } from '../../../src/domain/registration.ts';
import { rootHash } from '../../../src/domain/registry-set.ts';
import { nodeKey, who } from './mesh-keys.ts';

/** A set of those agents. */
export function toldSet(meshId: MeshId, agents: readonly string[], version: number): Extract<GossipNews, { readonly type: 'registry_change' }> {
  const seal = createRecordSeal(nodeKey(who.peer), () => meshId);
  const { nodeId } = nodeKey(who.peer);
  const registration = (agent: string): Registration => ({ address: `@${agent}@desktop#main`, nodeId, harness: 'command', capabilities: ['code'], labels: { team: 'a' }, visibility: 'mesh', description: 'builds', isDefault: true, available: true });
  const records = agents.map((agent) => seal.sealRegistration(registration(agent)));
  const root = rootHash(records.map(({ payload }) => seal.hash(payload)), (content) => seal.hash(content));
  return { type: 'registry_change', change: { head: seal.sealHead({ nodeId, epoch: 3, version, count: records.length, rootHash: root, addresses: ['100.64.0.10:7423'], gossipAddresses: ['100.64.0.10:7424'] }), records, gone: [] } };
}

export function toldByPeer({ meshId }: { readonly meshId: MeshId }): readonly GossipNews[] {
  return [toldSet(meshId, ['review'], 1)];
}
