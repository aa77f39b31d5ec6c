import { peerIdFromString } from '@libp2p/peer-id';
import { expect, test } from 'vitest';
import type { NodeId } from '../../../src/domain/ids.ts';
import { createGater } from '../../../src/gossip/gater.ts';
import { nodeIdFor } from '../../support/temp-store.ts';

test('who proves a key that is no member’s is let in nowhere, and told of; a member is let in', async () => {
  const [self, member, stranger] = [nodeIdFor(1), nodeIdFor(2), nodeIdFor(3)];
  const told: (NodeId | undefined)[] = [];
  const gater = createGater({ self, isWelcome: (nodeId) => nodeId === member, isDialled: () => false, isFull: () => false, onStranger: (nodeId) => void told.push(nodeId), cut: () => undefined });
  const denies = (nodeId: NodeId) => gater.denyInboundEncryptedConnection?.(peerIdFromString(nodeId), undefined as never);
  expect([await denies(member), told]).toEqual([false, []]);
  expect([await denies(stranger), told]).toEqual([true, [stranger]]);
});
