/** All that waits for the person at this node: what this node originated or owns, and what its owner's other nodes do. */
import { toBrokerError } from '../domain/errors.ts';
import type { NodeId } from '../domain/ids.ts';
import { belongs } from '../domain/membership.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { WaitingView } from './api.ts';
import type { Nodes } from './nodes.ts';
import type { Self } from './self.ts';

const askMs = 5000;
/** Nodes: in a large mesh a link has to be made with most of them first. */
const askedAtOnce = 32;
/** Prompts are up to 16 KiB: a page of them fits a frame. */
const pageSize = 100;
/** Of one node, at most. */
const mostPages = 10;

export interface WaitingParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly nodes: Nodes;
}

type Item = WaitingView['waiting'][number];

export class Waiting {
  readonly #parts: WaitingParts;

  constructor(parts: WaitingParts) {
    this.#parts = parts;
  }

  async list(): Promise<WaitingView> {
    const { store, self, nodes, mesh } = this.#parts;
    const gaps: WaitingView['gaps'][number][] = [];
    const asked = new Map<NodeId, readonly Flight[]>();
    const gap = (nodeId: NodeId, why: string): unknown => gaps.push({ nodeId, nodeName: nodes.nameOf(nodeId), why });
    const take = async (nodeId: NodeId, page: (after: string | undefined) => Promise<{ items: readonly Flight[]; next?: string }>): Promise<void> => {
      try {
        const { flights, isAll } = await allPages(page);
        asked.set(nodeId, flights);
        if (!isAll) gap(nodeId, `more wait there than the ${flights.length} shown`);
      } catch (error) {
        gap(nodeId, toBrokerError(error).message);
      }
    };
    const mine = store.read.members().filter((each) => each.owner === self.owner() && each.nodeId !== self.nodeId && belongs(each));
    const left = mine.values();
    const askNext = async (): Promise<void> => {
      for (const { nodeId } of left) {
        const link = mesh().link(nodeId) ?? (await mesh().want(nodeId));
        if (link === undefined) gap(nodeId, this.#whyNot(nodeId));
        else await take(nodeId, (after) => askFor(link, after));
      }
    };
    await Promise.all([take(self.nodeId, (after) => store.inspect.flights({ state: 'waiting' }, pageOf(after))), ...Array.from({ length: askedAtOnce }, askNext)]);
    return { waiting: this.#merged(asked), gaps };
  }

  /** Each flight once. What its owner says counts where the owner was asked; the node nearest to here is named. */
  #merged(asked: ReadonlyMap<NodeId, readonly Flight[]>): Item[] {
    const { self, nodes } = this.#parts;
    const items = new Map<Flight['id'], Item>();
    const inOrder = [...asked].toSorted(([a], [b]) => Number(b === self.nodeId) - Number(a === self.nodeId));
    for (const [nodeId, flights] of inOrder) {
      for (const flight of flights) {
        const ofOwner = asked.get(flight.ownerNodeId)?.find((each) => each.id === flight.id);
        const truth = asked.has(flight.ownerNodeId) ? ofOwner : flight;
        if (truth?.waiting !== undefined && !items.has(flight.id)) items.set(flight.id, { flight: truth, nodeId, nodeName: nodes.nameOf(nodeId) });
      }
    }
    return [...items.values()].toSorted((a, b) => (a.flight.waiting?.sinceMs ?? 0) - (b.flight.waiting?.sinceMs ?? 0));
  }

  #whyNot(nodeId: NodeId): string {
    const peer = this.#parts.mesh().peers().find((each) => each.nodeId === nodeId);
    return peer === undefined || peer.why === '' ? 'it is not reachable' : `it is not reachable: ${peer.why}`;
  }
}

const pageOf = (after: string | undefined): { limit: number; after?: string } => ({ limit: pageSize, ...(after === undefined ? {} : { after }) });

async function askFor(link: Link, after: string | undefined): Promise<{ items: readonly Flight[]; next?: string }> {
  return (await link.ask({ type: 'flights', filter: { state: 'waiting' }, ...pageOf(after) }, askMs)).page;
}

async function allPages(page: (after: string | undefined) => Promise<{ items: readonly Flight[]; next?: string }>): Promise<{ flights: Flight[]; isAll: boolean }> {
  const flights: Flight[] = [];
  let after: string | undefined;
  for (let count = 0; count < mostPages; count += 1) {
    const { items, next } = await page(after);
    flights.push(...items);
    if (next === undefined) return { flights, isAll: true };
    after = next;
  }
  return { flights, isAll: false };
}
