/** The wire form of replicated records, signed with the node's key. */
import { createHash } from 'node:crypto';
import { BrokerError } from '../domain/errors.ts';
import type { Departure as DomainDeparture } from '../domain/departure.ts';
import { isNodeId, publicKeyOfNodeId } from '../domain/ids.ts';
import type { MeshId } from '../domain/ids.ts';
import type { RecordSeal } from '../domain/ports.ts';
import type { Presence } from '../domain/presence.ts';
import type { RegistryHead, SignedRecord } from '../domain/registration.ts';
import { Departure } from '../gen/beckon/v1/membership.ts';
import * as wire from '../gen/beckon/v1/record.ts';
import { id, whole } from '../rpc/fields.ts';
import { decodePresence, encodePresence } from '../rpc/presence.ts';
import { decodeRegistration, decodeRegistryHead, encodeRegistration, encodeRegistryHead } from '../rpc/records.ts';
import { verifySignature } from '../trust/node-key.ts';
import type { NodeKey } from '../trust/node-key.ts';

/** @throws BrokerError `invalid`, before and after its signature was looked at */
function decodeDeparture(payload: Uint8Array): DomainDeparture {
  let read: Departure;
  try {
    read = Departure.decode(payload);
  } catch (error) {
    throw new BrokerError('invalid', 'a departure is malformed', { cause: error });
  }
  const { nodeId, certifiedAtMs, leftAtMs } = read;
  return { nodeId: id(isNodeId, nodeId, 'departure.node_id'), certifiedAtMs: whole(certifiedAtMs, 'departure.certified_at_ms'), leftAtMs: whole(leftAtMs, 'departure.left_at_ms') };
}

function readPresence(payload: Uint8Array): Presence {
  try {
    return decodePresence(payload);
  } catch (error) {
    throw error instanceof BrokerError ? error : new BrokerError('invalid', 'a presence is malformed', { cause: error });
  }
}

function decodeHead(payload: Uint8Array): RegistryHead {
  try {
    return decodeRegistryHead(wire.RegistryHead.decode(payload));
  } catch (error) {
    throw error instanceof BrokerError ? error : new BrokerError('invalid', 'a head is malformed', { cause: error });
  }
}

const longestRecord = 64 * 1024;

/** @param meshId of the mesh that this node is in; without one nothing is sealed or opened */
export function createRecordSeal(nodeKey: NodeKey, meshId: () => MeshId | undefined): RecordSeal {
  const signed = (domain: string, payload: Uint8Array): Buffer => {
    const mesh = meshId();
    if (mesh === undefined) throw new BrokerError('internal', 'records are signed for a mesh, and this node is in none');
    return Buffer.concat([Buffer.from(`beckon-${domain}-v1\0${mesh}\0`), payload]);
  };
  const seal = (domain: string, payload: Uint8Array): SignedRecord => ({ payload, signature: nodeKey.sign(signed(domain, payload)) });
  const open = <T>(domain: string, record: SignedRecord, signer: Uint8Array, decode: (payload: Uint8Array) => T): T => {
    if (record.payload.length > longestRecord) throw new BrokerError('invalid', `a ${domain} of ${record.payload.length} bytes is too large`);
    if (!verifySignature(signer, signed(domain, record.payload), record.signature)) {
      throw new BrokerError('unauthenticated', `the signature of a ${domain} is not its owner's`);
    }
    try {
      return decode(record.payload);
    } catch (error) {
      throw error instanceof BrokerError ? error : new BrokerError('invalid', `a ${domain} is malformed`, { cause: error });
    }
  };
  return {
    sealRegistration: (registration) => seal('registration', wire.Registration.encode(encodeRegistration(registration)).finish()),
    sealHead: (head) => seal('head', wire.RegistryHead.encode(encodeRegistryHead(head)).finish()),
    openRegistration: (record, owner) => open('registration', record, publicKeyOfNodeId(owner), (payload) => decodeRegistration(wire.Registration.decode(payload))),
    openHead: (record) => open('head', record, publicKeyOfNodeId(decodeHead(record.payload).nodeId), decodeHead),
    readHead: (record) => decodeHead(record.payload),
    sealDeparture: (departure) => seal('departure', Departure.encode(departure).finish()),
    openDeparture: (record, keyOf) => {
      const claimed = decodeDeparture(record.payload);
      const key = keyOf(claimed.nodeId);
      if (key === undefined) throw new BrokerError('unauthenticated', 'a departure of a node that is no member');
      return open('departure', record, key, decodeDeparture);
    },
    sealPresence: (presence) => seal('presence', encodePresence(presence)),
    openPresence: (record) => open('presence', record, publicKeyOfNodeId(readPresence(record.payload).nodeId), decodePresence),
    readPresence: (record) => readPresence(record.payload),
    hash: (content) => createHash('sha256').update(content).digest('hex'),
  };
}
