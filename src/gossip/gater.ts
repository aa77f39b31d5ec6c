/** Who may have a gossip connection with this node, judged once its key is proven. */
import type { NodeId } from '../domain/ids.ts';
import { asNodeIdOf } from './peer-id.ts';
import type { ConnectionGater, PeerId } from './libp2p.ts';

export interface GaterParts {
  readonly self: NodeId;
  /** An unrevoked member that is not shunned. */
  readonly isWelcome: (nodeId: NodeId) => boolean;
  /** It is being dialled, or has been a moment ago. */
  readonly isDialled: (nodeId: NodeId) => boolean;
  /** No more inbound ones. */
  readonly isFull: () => boolean;
  /** Somebody proved a key that is no member's, or that of one that is shunned, or has none that a node has. */
  readonly onStranger: (nodeId: NodeId | undefined) => void;
  /** Ends the connections with it that are there. */
  readonly cut: (nodeId: NodeId) => void;
}

export function createGater({ self, isWelcome, isDialled, isFull, onStranger, cut }: GaterParts): ConnectionGater {
  const isStranger = (peer: PeerId): boolean => {
    const nodeId = asNodeIdOf(peer);
    return nodeId === undefined || !isWelcome(nodeId);
  };
  return {
    denyDialPeer: isStranger,
    denyDialMultiaddr: () => false,
    denyOutboundEncryptedConnection: isStranger,
    denyInboundEncryptedConnection: (peer) => {
      const nodeId = asNodeIdOf(peer);
      if (nodeId === undefined || !isWelcome(nodeId)) {
        onStranger(nodeId);
        return true;
      }
      // Both dial at once: the connection of the lower id stays, as with sessions.
      if (isDialled(nodeId) && self < nodeId) return true;
      // Who dials in spite of an older one hears nothing on it.
      cut(nodeId);
      return isFull();
    },
  };
}
