/** What happened, here and on other nodes: lists and deliveries. */
import { denied, invalid, notFound, unavailable } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import { isTerminal } from '../domain/flight.ts';
import { deliveryOfFlight, flightOfInvocation, parseIdArgument } from '../domain/ids.ts';
import type { InvocationId, NodeId } from '../domain/ids.ts';
import type { AnswerTo, DeliveryFilter, FlightFilter, InspectionQuery, PeerAnswer, PeerQuery } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
import type { Delivery, DeliveryAttempt, Flight, Page, PageRequest } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { PeerIdentity } from '../domain/trust.ts';
import type { Flights } from './flights.ts';
import type { Nodes } from './nodes.ts';
import type { Self } from './self.ts';
import type { PeerSight } from './sight.ts';

const askMs = 5000;
/** Looked through for one question of whoever may see some of what is in them. */
const mostPages = 10;

export interface InspectionParts {
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly nodes: Nodes;
  readonly flights: Flights;
  readonly clock: Clock;
  readonly sight: PeerSight;
}

export class Inspection {
  readonly #parts: InspectionParts;
  readonly #sight: PeerSight;

  constructor(parts: InspectionParts) {
    this.#parts = parts;
    this.#sight = parts.sight;
  }

  async listFlights(filter: FlightFilter & { node?: string; family?: InvocationId }, page: PageRequest): Promise<Page<Flight>> {
    const { node, ...here } = filter;
    const there = this.#elsewhere(node);
    if (there === undefined) return this.#parts.store.inspect.flights(here, page);
    const { family, group, ...rest } = here;
    if (group !== undefined) throw invalid('a group is known on the node where it was invoked', 'leave out --node');
    if (family !== undefined) throw denied('a process of a flight sees what is known on its own node', 'leave out --node');
    return (await this.#ask(there, { type: 'flights', filter: rest, ...page })).page;
  }

  async listDeliveries(filter: DeliveryFilter & { node?: string; invocation?: string }, page: PageRequest): Promise<Page<Delivery>> {
    const { node, invocation, ...rest } = filter;
    const exact = invocation === undefined ? rest : { ...rest, invocationId: this.#parts.flights.find(invocation).invocationId };
    const there = this.#elsewhere(node);
    if (there === undefined) return this.#parts.store.inspect.deliveries(exact, page);
    return (await this.#ask(there, { type: 'deliveries', filter: exact, ...page })).page;
  }

  async getDelivery(argument: string): Promise<{ delivery: Delivery; attempts: readonly DeliveryAttempt[] }> {
    parseIdArgument(argument);
    const { store, flights } = this.#parts;
    const flight = flights.find(argument);
    const delivery = store.read.delivery(flight.invocationId);
    if (delivery === undefined) throw notFound(`no delivery ${deliveryOfFlight(flight.id)} is known here`);
    return { delivery, attempts: await store.inspect.attempts(flight.invocationId) };
  }

  async ping(node: string): Promise<{ nodeId: NodeId; name: string; address: string; rttMs: number }> {
    const { nodes, mesh, clock, self } = this.#parts;
    const nodeId = nodes.find(node);
    if (nodeId === self.nodeId) return { nodeId, name: self.name(), address: 'this node', rttMs: 0 };
    const link = mesh().link(nodeId) ?? (await mesh().dialNow(nodeId, askMs));
    if (link === undefined) throw this.#unreachable(nodeId);
    const beganMs = clock.monotonic();
    await link.ask({ type: 'ping' }, askMs);
    const rttMs = clock.monotonic() - beganMs;
    const peer = mesh()
      .peers()
      .find((each) => each.nodeId === nodeId);
    return { nodeId, name: nodes.nameOf(nodeId), address: peer?.address ?? '', rttMs };
  }

  /** A peer's question: nodes of the same owner identity see all, whoever else has `inspect` sees text only where it has a part. */
  async answer(link: Link, query: InspectionQuery): Promise<PeerAnswer> {
    const { inspect, read } = this.#parts.store;
    if (query.type === 'ping') return { type: 'ping', nowMs: this.#parts.clock.now() };
    const { peer } = link;
    if (query.type === 'standings') {
      const known = query.invocationIds.map((each) => read.flight(flightOfInvocation(each))).filter((each) => each !== undefined);
      // An owner is told of what it was given, and of nothing else.
      const given = known.filter((each) => each.originNodeId === this.#parts.self.nodeId && each.ownerNodeId === peer.nodeId);
      return { type: 'standings', standings: given.map(({ invocationId, lastSeq, state }) => ({ invocationId, lastSeq, terminal: isTerminal(state) })) };
    }
    await this.#sight.settled(peer);
    const wanted = { limit: query.limit, ...(query.after === undefined ? {} : { after: query.after }) };
    if (query.type === 'flights') {
      const page = await this.#seen(peer, wanted, (asked) => inspect.flights(query.filter, asked), ({ target, ownerNodeId }) => ({ target, ownerNodeId }));
      return { type: 'flights', page: this.#sight.seesAll(peer) ? page : { ...page, items: page.items.map((each) => this.#sight.flight(peer, each)) } };
    }
    const page = await this.#seen(peer, wanted, (asked) => inspect.deliveries(query.filter, asked), ({ target, toNodeId }) => ({ target, ownerNodeId: toNodeId }));
    return { type: 'deliveries', page: this.#sight.seesAll(peer) ? page : { ...page, items: page.items.map((each) => this.#sight.delivery(peer, each)) } };
  }

  /** All of a page for whoever may inspect the node; for whoever may inspect some of its agents, what is of these. @throws BrokerError `denied` */
  async #seen<Item>(peer: PeerIdentity, page: PageRequest, read: (page: PageRequest) => Promise<Page<Item>>, of: (item: Item) => Pick<Flight, 'target' | 'ownerNodeId'>): Promise<Page<Item>> {
    if (this.#sight.seesNode(peer)) return await read(page);
    const agents = this.#sight.agentsFor(peer);
    if (agents.size === 0) throw await this.#sight.refusal(peer);
    const isSeen = (item: Item): boolean => {
      const { target, ownerNodeId } = of(item);
      return ownerNodeId === this.#parts.self.nodeId && agents.has(target);
    };
    let { after } = page;
    // A page may have none of them, and a question has an end: then it is to be gone on with.
    for (let count = 1; ; count += 1) {
      const { items, next } = await read({ limit: page.limit, ...(after === undefined ? {} : { after }) });
      const seen = items.filter(isSeen);
      if (next === undefined) return { items: seen };
      if (seen.length > 0 || count === mostPages) return { items: seen, next };
      after = next;
    }
  }

  #elsewhere(node: string | undefined): NodeId | undefined {
    if (node === undefined) return undefined;
    const nodeId = this.#parts.nodes.find(node);
    return nodeId === this.#parts.self.nodeId ? undefined : nodeId;
  }

  async #ask<Q extends PeerQuery>(nodeId: NodeId, query: Q): Promise<AnswerTo<Q>> {
    const link = this.#parts.mesh().link(nodeId) ?? (await this.#parts.mesh().want(nodeId));
    if (link === undefined) throw this.#unreachable(nodeId);
    return link.ask(query, askMs);
  }

  #unreachable(nodeId: NodeId): BrokerError {
    const peer = this.#parts
      .mesh()
      .peers()
      .find((each) => each.nodeId === nodeId);
    const name = this.#parts.nodes.nameOf(nodeId);
    return unavailable(`${name} can't be reached${peer === undefined || peer.why === '' ? '' : `: ${peer.why}`}`, 'see its state: beckon peers');
  }
}
