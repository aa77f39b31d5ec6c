/** Who holds a name that several members were granted, by several issuers at once, say. */
import type { NodeId } from './ids.ts';

export interface Named {
  readonly nodeId: NodeId;
  readonly name: string;
  /** From when on its certificate is in force, ms. */
  readonly notBeforeMs: number;
}

/** The earliest certificate holds it, on every node that knows of both; of equally early ones that of the lower node id. */
export function nameHolders(members: readonly Named[]): ReadonlyMap<string, NodeId> {
  const holders = new Map<string, Named>();
  for (const member of members) {
    const held = holders.get(member.name);
    if (held === undefined || isEarlier(member, held)) holders.set(member.name, member);
  }
  return new Map([...holders].map(([name, { nodeId }]) => [name, nodeId]));
}

function isEarlier(a: Named, b: Named): boolean {
  return a.notBeforeMs === b.notBeforeMs ? a.nodeId < b.nodeId : a.notBeforeMs < b.notBeforeMs;
}
