/** Who holds a name that several members were granted, by several issuers at once, say. */
import type { NodeId } from './ids.ts';

export interface Named {
  readonly nodeId: NodeId;
  readonly name: string;
  /** From when on its certificate is in force, ms. */
  readonly notBeforeMs: number;
  /** That of its first one with this name, when it was renewed. */
  readonly namedSinceMs?: number;
}

/** When it got its name: renewing takes it from nobody. */
export function namedSince({ namedSinceMs, notBeforeMs }: Pick<Named, 'notBeforeMs' | 'namedSinceMs'>): number {
  return namedSinceMs ?? notBeforeMs;
}

/** Who was certified under it first holds it, on every node that knows of both; of equally early ones that of the lower node id. */
export function nameHolders(members: readonly Named[]): ReadonlyMap<string, NodeId> {
  const holders = new Map<string, Named>();
  for (const member of members) {
    const held = holders.get(member.name);
    if (held === undefined || isEarlier(member, held)) holders.set(member.name, member);
  }
  return new Map([...holders].map(([name, { nodeId }]) => [name, nodeId]));
}

function isEarlier(a: Named, b: Named): boolean {
  const [since, than] = [namedSince(a), namedSince(b)];
  return since === than ? a.nodeId < b.nodeId : since < than;
}
