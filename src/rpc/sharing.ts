/** With whom an agent is shared: wire and domain. */
import { invalid } from '../domain/errors.ts';
import { asNodeId } from '../domain/ids.ts';
import type { ShareView } from '../domain/sharing.ts';
import { quoted } from '../domain/text.ts';
import type * as wire from '../gen/beckon/v1/sharing.ts';

export function encodeShare(share: ShareView): wire.AgentShare {
  return { with: share.with, name: share.with === 'all' ? '' : share.name, nodeId: share.with === 'node' ? share.nodeId : '' };
}

/** @throws BrokerError `invalid` */
export function decodeShare({ with: kind, name, nodeId }: wire.AgentShare): ShareView {
  switch (kind) {
    case 'all':
      return { with: 'all' };
    case 'person':
      return { with: 'person', name };
    case 'node':
      return { with: 'node', name, nodeId: asNodeId(nodeId) };
    default:
      throw invalid(`${quoted(kind)} is nobody that this version of Beckon knows to share with`);
  }
}
