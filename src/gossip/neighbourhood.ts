/**
 * Which members to have gossip connections with: some of them, by chance, and now and then others, so that what a
 * partition or a restart left as two crowds becomes one again. Pure; after hashicorp/memberlist and the random graphs
 * that gossip needs: each node choosing a few others makes one connected graph.
 */
import { backoff } from '../domain/backoff.ts';
import type { NodeId } from '../domain/ids.ts';
import type { Random } from '../domain/ports.ts';

/** So many neighbours in all, whoever dialled, … */
export const wantedNeighbours = 8;
/** … of which this node chose so many itself: were all inbound, two crowds might never meet. */
export const chosenNeighbours = 4;
/** At once: many nodes that start together would starve each other of time for their handshakes. */
export const mostDials = 4;
export const mostInbound = 2 * wantedNeighbours;
/** One of those that it chose gives way to another that often. */
export const exchangeEveryMs = 60_000;
const redial = { baseMs: 1_000, capMs: 60_000 } as const;

export interface Neighbours {
  readonly inbound: ReadonlySet<NodeId>;
  readonly outbound: ReadonlySet<NodeId>;
}

export class Neighbourhood {
  readonly #random: Random;
  readonly #failed = new Map<NodeId, { failures: number; untilMs: number }>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Whom to dial now. @param dialling those that are being dialled */
  toDial(members: readonly NodeId[], { inbound, outbound }: Neighbours, dialling: ReadonlySet<NodeId>, nowMs: number): NodeId[] {
    const outgoing = outbound.size + dialling.size;
    const lacking = Math.min(Math.max(wantedNeighbours - inbound.size - outgoing, chosenNeighbours - outgoing), mostDials - dialling.size);
    return lacking <= 0 ? [] : this.#some(members, { inbound, outbound }, dialling, nowMs, lacking);
  }

  /** One to give up and another to dial in its place; undefined while there is no other, or all places are not taken. */
  exchange(members: readonly NodeId[], neighbours: Neighbours, dialling: ReadonlySet<NodeId>, nowMs: number): { readonly leave: NodeId; readonly dial: NodeId } | undefined {
    const [dial] = this.#some(members, neighbours, dialling, nowMs, 1);
    const chosen = [...neighbours.outbound];
    const leave = chosen[Math.floor(this.#random() * chosen.length)];
    return dial === undefined || leave === undefined ? undefined : { leave, dial };
  }

  failed(nodeId: NodeId, nowMs: number): void {
    const failures = (this.#failed.get(nodeId)?.failures ?? 0) + 1;
    this.#failed.set(nodeId, { failures, untilMs: nowMs + redial.baseMs + backoff(failures - 1, redial, this.#random()) });
  }

  /** It was reached, or is at another address than before. */
  forgive(nodeId: NodeId): void {
    this.#failed.delete(nodeId);
  }

  #some(members: readonly NodeId[], { inbound, outbound }: Neighbours, dialling: ReadonlySet<NodeId>, nowMs: number, count: number): NodeId[] {
    const free = members.filter((each) => !inbound.has(each) && !outbound.has(each) && !dialling.has(each) && (this.#failed.get(each)?.untilMs ?? 0) <= nowMs);
    const picked: NodeId[] = [];
    while (picked.length < count && free.length > 0) picked.push(...free.splice(Math.floor(this.#random() * free.length), 1));
    return picked;
  }
}
