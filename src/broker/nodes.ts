/** Names of nodes and what stands behind them. */
import { parseNodeRef } from '../domain/address.ts';
import { BrokerError } from '../domain/errors.ts';
import { asNodeId } from '../domain/ids.ts';
import type { NodeId } from '../domain/ids.ts';
import { namedSince } from '../domain/name-holder.ts';
import { fewOf, nearestNames } from '../domain/nearest.ts';
import type { Store } from '../domain/store-port.ts';
import type { Self } from './self.ts';

export interface NodesParts {
  readonly store: Store;
  readonly self: Self;
}

export class Nodes {
  readonly #parts: NodesParts;

  constructor(parts: NodesParts) {
    this.#parts = parts;
  }

  /** The name in its certificate; the id of a node that is none of ours. */
  nameOf(nodeId: NodeId): string {
    const { self, store } = this.#parts;
    return nodeId === self.nodeId ? self.name() : (store.read.member(nodeId)?.name ?? store.read.formerName(nodeId) ?? nodeId);
  }

  /** By name or id; of several of one name, a member before those that are none any more. @throws `not_found` with the nearest names, `invalid` */
  find(text: string): NodeId {
    const { self, store } = this.#parts;
    const ref = parseNodeRef(text);
    const all = [{ name: self.name(), nodeId: self.nodeId, notBeforeMs: self.namedSinceMs() }, ...store.read.members()];
    const found = all
      .filter((each) => (ref.kind === 'id' ? each.nodeId === ref.nodeId : each.name === ref.name))
      .toSorted((a, b) => Number('left' in a || 'removed' in a) - Number('left' in b || 'removed' in b) || namedSince(a) - namedSince(b) || (a.nodeId < b.nodeId ? -1 : 1))[0];
    if (found !== undefined) return asNodeId(found.nodeId);
    const names = [...new Set(all.map((each) => each.name))];
    const near = ref.kind === 'name' ? nearestNames(ref.name, names) : [];
    const members = names.length > 1 ? `members: ${fewOf(names)}` : 'add one: beckon mesh invite';
    throw new BrokerError('not_found', `no node ${text} is a member of this mesh`, { hint: near.length > 0 ? `did you mean ${near.join(' or ')}?` : members });
  }
}

