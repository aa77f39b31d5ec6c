/** A node that could not be asked. */
import type { TraceView } from '../broker/api.ts';
import { asNodeId } from '../domain/ids.ts';
import type { TraceGap } from '../gen/beckon/v1/inspection.ts';
import { present } from '../rpc/fields.ts';

/** @throws BrokerError `invalid` */
export function decodeGap({ nodeId, nodeName, why, sinceMs, unknown }: TraceGap): TraceView['gaps'][number] {
  return { nodeId: asNodeId(nodeId), nodeName, why, ...present({ sinceMs }), ...(unknown.length === 0 ? {} : { unknown }) };
}
