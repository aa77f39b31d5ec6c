/** The operator's view of the mesh, here, and what this node tells others for theirs. */
import type { Fact } from '../domain/event.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { InvocationId } from '../domain/ids.ts';
import { standingOf } from '../domain/observation.ts';
import type { FoundFlight, ObservationAnswer, ObservationQuery } from '../domain/observation.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
import type { Store } from '../domain/store-port.ts';
import { factOfStates, reportOfStates } from '../domain/visibility.ts';
import type { NodeStatus, TraceView } from './api.ts';
import { AskMembers } from './ask-members.ts';
import type { Chronicler } from './chronicler.ts';
import { exportRecords } from './exporting.ts';
import type { Flights } from './flights.ts';
import type { Nodes } from './nodes.ts';
import type { OperatorApi } from './operator-api.ts';
import { meshReport, nodeReport } from './reporting.ts';
import type { Self } from './self.ts';
import type { PeerSight } from './sight.ts';
import type { FactsAnswer, FactsQuery } from './tail-source.ts';
import { tail } from './tailing.ts';
import { trace } from './tracing.ts';
import { whereabouts } from './whereabouts.ts';

/** In one answer. */
const mostFacts = 500;

export interface OperatorParts {
  readonly sight: PeerSight;
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly nodes: Nodes;
  readonly flights: Pick<Flights, 'find'>;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly isDraining: () => boolean;
  readonly standing: (() => Pick<NodeStatus, 'refused'>) | undefined;
  readonly certificateEnd: (leaf: Uint8Array) => number;
}

export class Operator implements OperatorApi {
  readonly #parts: OperatorParts & { readonly members: AskMembers };
  readonly #sight: PeerSight;

  constructor(parts: OperatorParts) {
    this.#sight = parts.sight;
    this.#parts = { ...parts, members: new AskMembers(parts) };
  }

  /** Which nodes a flight is between. @throws as `whereabouts` does */
  whereabouts(argument: string): Promise<FoundFlight> {
    return whereabouts(this.#parts, argument);
  }

  trace(argument: string): Promise<TraceView> {
    return trace(this.#parts, argument);
  }

  tail(...[input, signal]: Parameters<OperatorApi['tail']>): ReturnType<OperatorApi['tail']> {
    return tail({ ...this.#parts, ownFacts: (query) => this.#facts(query) }, input, signal);
  }

  report(sinceMs: number): ReturnType<OperatorApi['report']> {
    return meshReport(this.#parts, sinceMs);
  }

  export(...[input, signal]: Parameters<OperatorApi['export']>): ReturnType<OperatorApi['export']> {
    return exportRecords(this.#parts, input, signal);
  }

  /**
   * A peer's question. Nodes of this owner identity see all; of one flight also those that belong to whoever asked for it, or works on it;
   * whoever else has `inspect` sees receipts and states.
   * @throws BrokerError `denied`
   */
  async answer({ peer }: Link, query: ObservationQuery): Promise<ObservationAnswer> {
    const { store } = this.#parts;
    await this.#sight.settled(peer);
    const seesNode = this.#sight.seesNode(peer);
    if (query.type === 'trace') {
      const flight = store.read.flight(flightOfInvocation(query.invocationId));
      const sight = flight === undefined ? undefined : this.#sight.ofFlight(peer, flight);
      if (sight === 'nothing' || (sight === undefined && !seesNode)) throw await this.#sight.refusal(peer);
      const facts = await store.inspect.facts(query.invocationId);
      return { type: 'trace', facts: sight === 'states' ? ofStates(facts) : facts, ...(flight === undefined ? {} : { standing: standingOf(flight) }) };
    }
    if (query.type === 'find') {
      const found = store.read.flightsBySuffix(query.suffix).filter((flight) => this.#sight.ofFlight(peer, flight) !== 'nothing');
      // Whoever may not inspect learns nothing of what is none of theirs, not even that it is not there.
      if (!seesNode && found.length === 0) throw await this.#sight.refusal(peer);
      return { type: 'find', found: found.map(placesOf) };
    }
    if (!seesNode) throw await this.#sight.refusal(peer);
    const seesAll = this.#sight.seesAll(peer);
    if (query.type === 'report') {
      const report = await nodeReport(this.#parts, query.sinceMs);
      return { type: 'report', report: seesAll ? report : reportOfStates(report) };
    }
    const answer = await this.#facts(query);
    return seesAll ? answer : { ...answer, facts: ofStates(answer.facts) };
  }

  async #facts({ after, sinceMs, limit, hlc: asked }: FactsQuery): Promise<FactsAnswer> {
    const { store, chronicler } = this.#parts;
    const { hlc } = chronicler.stampAfter(asked);
    const newest = store.read.newestFact();
    const none = { type: 'facts', facts: [] as readonly Fact[], next: newest, more: false, hlc } as const;
    if (after !== undefined && after > newest) return { ...none, putBack: true };
    const from = after ?? (sinceMs === undefined ? newest : await store.inspect.factsBefore(sinceMs));
    if (from >= newest) return { ...none, putBack: false };
    const range = after === undefined && sinceMs !== undefined ? { after: from, sinceMs } : { after: from };
    const page = await store.inspect.factsIn({ ...range, upTo: newest }, Math.min(limit, mostFacts));
    return { type: 'facts', ...page, hlc, putBack: false };
  }
}

function ofStates(facts: readonly Fact[]): readonly Fact[] {
  return facts.flatMap((each) => factOfStates(each) ?? []);
}

function placesOf({ invocationId, originNodeId, ownerNodeId }: { readonly invocationId: InvocationId } & Omit<FoundFlight, 'invocationId'>): FoundFlight {
  return { invocationId, originNodeId, ownerNodeId };
}
