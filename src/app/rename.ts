/** `up --name OTHER` on a node that has a name already: its agents' addresses, and its certificate, get the new one. */
import type { Chronicler } from '../broker/chronicler.ts';
import { formatAddress, parseAddress, shellAddress } from '../domain/address.ts';
import { conflict } from '../domain/errors.ts';
import { agentIdOf } from '../domain/ids.ts';
import type { Clock, UlidSource } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import type { NodeKey } from '../trust/node-key.ts';
import type { MeshMembership } from './membership.ts';

export interface RenameParts {
  readonly store: Store;
  readonly membership: MeshMembership;
  readonly nodeKey: NodeKey;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly to: string;
}

/**
 * Does nothing when the name is the same. Idempotent: after a crash the next start goes on.
 * @throws BrokerError `conflict` when work is queued for an agent under the old name, when another member has the name,
 * or when this node can't issue itself a certificate
 */
export async function renameNode({ store, membership, nodeKey, chronicler, clock, ulids, to }: RenameParts): Promise<void> {
  const current = store.read.membership();
  const misnamed = store.read.endpoints().filter((each) => parseAddress(each.address).node !== to);
  for (const { address } of misnamed) {
    if (store.read.queuedCount(address) > 0) {
      throw conflict(`work is queued for ${address}`, `let it finish, or remove the agent, before you rename the node: beckon agent rm ${shellAddress(parseAddress(address))}`);
    }
  }
  if (current !== undefined && current.name !== to) {
    if (store.read.members().some((each) => each.name === to && each.nodeId !== nodeKey.nodeId)) {
      throw conflict(`another node of this mesh is called ${to}`, 'take another name');
    }
    await membership.load();
    if (membership.issuer === undefined) {
      throw conflict(`this node is ${current.name} in the mesh ${current.meshName}, and only an issuer can give it another name`, `start it without --name, or with --name ${current.name}`);
    }
    const chain = await membership.issuer.issue({ publicKey: nodeKey.publicKey, name: to, owner: current.owner }, clock.now());
    await store.write.replaceOwnChain({ stamp: chronicler.stamp(), name: to, chain });
  }
  for (const endpoint of misnamed) {
    const registration = store.read.ownRegistrations().find((each) => each.address === endpoint.address);
    if (registration === undefined) continue;
    const address = formatAddress({ ...parseAddress(endpoint.address), node: to });
    const agentId = agentIdOf(ulids.next());
    await store.write.addAgent({ stamp: chronicler.stamp(), endpoint: { ...endpoint, agentId, address }, registration: { ...registration, address } });
    await store.write.removeAgent({ stamp: chronicler.stamp(), address: endpoint.address, to: address });
  }
}
