/**
 * Invocations that agents make of other agents. A chain may cross nodes, so that its targets travel with it: the origin
 * refuses a cycle or an overlong chain before acceptance, and the owner refuses one that comes all the same.
 */
import { conflict } from './errors.ts';
import type { BrokerError } from './errors.ts';
import type { InvocationId } from './ids.ts';
import type { Ancestry } from './invocation.ts';

/** An invocation by a person has depth 0; the deepest that is taken has this. */
export const maxDepth = 8;

/** Invocations that agents made, of what one person's invocation led to: as many are taken on one node while it runs. */
export const mostDescendants = 1_000;

/** The invocation whose agent asks. */
export interface Parent {
  readonly invocationId: InvocationId;
  readonly target: string;
  readonly ancestry: Ancestry;
}

/** @param parent undefined when no agent asks: the invocation is its own root */
export function ancestryOf(id: InvocationId, parent: Parent | undefined): Ancestry {
  if (parent === undefined) return { rootId: id, depth: 0, path: [] };
  const { rootId, depth, path } = parent.ancestry;
  return { parentId: parent.invocationId, rootId, depth: depth + 1, path: [...path, parent.target] };
}

/** @returns undefined when the target may be invoked so, else the `conflict` that names the chain */
export function flawOfChain(target: string, { depth, path }: Ancestry): BrokerError | undefined {
  const chain = [...path, target].join(' → ');
  if (path.includes(target)) {
    return conflict(`${target} is at work on this already: ${chain}`, 'have the agent answer its caller instead of calling it');
  }
  if (Math.max(depth, path.length) > maxDepth) {
    return conflict(`agents may call each other ${maxDepth} deep, and this is deeper: ${chain}`, 'invoke it from outside the chain');
  }
  return undefined;
}
