/** Names for node ids, as far as this node knows them. */
import { BrokerError } from '../domain/errors.ts';
import type { NodeClient } from '../client/types.ts';
import type { Names } from './json.ts';

export async function nodeNames(client: NodeClient): Promise<Names> {
  const [self, peers, members] = await Promise.all([client.status(), client.peers(), membersOrNone(client)]);
  return Object.fromEntries([
    ...peers.map(({ nodeId, name }) => [nodeId, name]),
    ...members.map(({ nodeId, name }) => [nodeId, name]),
    [self.nodeId, self.name],
  ]);
}

/** A node alone has no members to tell of. */
async function membersOrNone(client: NodeClient): ReturnType<NodeClient['members']> {
  try {
    return await client.members();
  } catch (thrown) {
    if (thrown instanceof BrokerError && thrown.code !== 'internal') return [];
    throw thrown;
  }
}
