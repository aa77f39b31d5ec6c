/** A node that could not be asked. */
import type { TraceView } from '../broker/api.ts';
import type { TraceGap } from '../gen/beckon/v1/inspection.ts';

export function encodeGap({ nodeId, nodeName, why, sinceMs, unknown = [] }: TraceView['gaps'][number]): TraceGap {
  return { nodeId, nodeName, why, sinceMs, unknown: [...unknown] };
}
