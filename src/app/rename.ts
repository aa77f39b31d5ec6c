/** `up --name OTHER` on a node that has a name already: what can be done before the network is up. */
import type { Chronicler } from '../broker/chronicler.ts';
import { parseAddress } from '../domain/address.ts';
import type { Act } from '../domain/audit.ts';
import { conflict } from '../domain/errors.ts';
import { belongs } from '../domain/membership.ts';
import type { Store } from '../domain/store-port.ts';
import { parseLeaf } from '../trust/certificate.ts';
import type { NodeKey } from '../trust/node-key.ts';
import type { MeshMembership } from './membership.ts';

export interface RenameParts {
  readonly store: Store;
  readonly membership: MeshMembership;
  readonly nodeKey: NodeKey;
  readonly chronicler: Chronicler;
  readonly to: string;
  /** Whose wish it is. */
  readonly act?: Act;
}

/**
 * Does nothing when the name is the same. Agents, and what waits for them, get the addresses that follow.
 * @returns false when an issuer has to be asked first, and nothing was done
 * @throws BrokerError `conflict` when another member has the name
 */
export async function renameNode({ store, membership, nodeKey, chronicler, to, act }: RenameParts): Promise<boolean> {
  const current = store.read.membership();
  if (current !== undefined && current.name !== to) {
    if (store.read.members().some((each) => each.name === to && each.nodeId !== nodeKey.nodeId && belongs(each))) {
      throw conflict(`another node of this mesh is called ${to}`, 'take another name');
    }
    await membership.load();
    const { notBeforeMs } = parseLeaf(current.chain.leaf);
    const chain = await membership.certify({ publicKey: nodeKey.publicKey, name: to, owner: current.owner, laterThanMs: notBeforeMs });
    if (chain === undefined) return false;
    await store.write.renameNode({ stamp: chronicler.stamp(), act, name: to, chain });
    return true;
  }
  const isMisnamed = store.read.ownRegistrations().some((each) => parseAddress(each.address).node !== to);
  if (isMisnamed) await store.write.renameNode({ stamp: chronicler.stamp(), act, name: to, chain: undefined });
  return true;
}
