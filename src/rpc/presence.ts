/** Presence, between its wire form and the domain. Decoders throw BrokerError `invalid`. */
import { isNodeId } from '../domain/ids.ts';
import { mostLoads } from '../domain/presence.ts';
import type { Presence } from '../domain/presence.ts';
import * as wire from '../gen/beckon/v1/registry.ts';
import { parseAddress } from '../domain/address.ts';
import { id, list, name, whole } from './fields.ts';

export function encodePresence({ agents, ...presence }: Presence): Uint8Array {
  return wire.Presence.encode({ ...presence, agents: agents.map((each) => ({ ...each })) }).finish();
}

export function decodePresence(payload: Uint8Array): Presence {
  const { nodeId, epoch, number, running, queued, agents } = wire.Presence.decode(payload);
  return {
    nodeId: id(isNodeId, nodeId, 'presence.node_id'),
    epoch: whole(epoch, 'presence.epoch'),
    number: whole(number, 'presence.number'),
    running,
    queued,
    agents: list(agents, 'presence.agents', mostLoads).map((each) => {
      const address = name(each.address, 'presence.agents.address');
      parseAddress(address);
      return { address, running: each.running, queued: each.queued };
    }),
  };
}
