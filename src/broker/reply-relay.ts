/**
 * Replies to flights that this node has no part in: put to the owner or the origin of the flight, first to whichever is a node
 * of the same owner identity; one of another person judges by its policy. Nothing but its row of the audit is stored here, so what is not confirmed is to be said again; the same reply twice is one.
 */
import { requestKinds } from '../domain/audit.ts';
import type { Act, Audit } from '../domain/audit.ts';
import { BrokerError, notFound, unavailable } from '../domain/errors.ts';
import { flightOfInvocation, parseIdArgument } from '../domain/ids.ts';
import type { FlightId } from '../domain/ids.ts';
import type { AnswerTo, RelayedReply } from '../domain/messages.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { FoundFlight } from '../domain/observation.ts';
import type { Flight } from '../domain/records.ts';
import { checkReply } from '../domain/request.ts';
import { actOfPeer } from './acts.ts';
import type { ReplyInput, WaitingView } from './api.ts';
import type { Policy } from './policy.ts';
import type { Replies, ReplyResult } from './replies.ts';
import type { Self } from './self.ts';
import type { PeerSight } from './sight.ts';

/** For the way there and back, on top of what the other node waits. */
const onTheWayMs = 5000;
const longestWaitMs = 60_000;

export interface ReplyRelayParts {
  readonly policy: Pick<Policy, 'refusalFor'>;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly replies: Replies;
  readonly find: (argument: string) => Flight;
  /** Of a flight that is known here. */
  readonly targetOf: (id: FlightId) => string | undefined;
  readonly waiting: () => Promise<WaitingView>;
  /** Asks other members, too, who may tell or not. @throws `not_found`, `ambiguous`, `invalid` */
  readonly whereabouts: (argument: string) => Promise<FoundFlight>;
  readonly sight: Pick<PeerSight, 'flight'>;
  readonly audit?: Pick<Audit, 'record'> | undefined;
}

type Between = Pick<Flight, 'invocationId' | 'originNodeId' | 'ownerNodeId'>;

export class ReplyRelay {
  readonly #parts: ReplyRelayParts;

  constructor(parts: ReplyRelayParts) {
    this.#parts = parts;
  }

  /** @throws as `Replies.give` does, `not_found` when no node of this owner identity that can be asked knows it as waiting */
  async give(input: ReplyInput, act?: Act): Promise<ReplyResult> {
    if (this.#isKnown(input.id)) return this.#parts.replies.give(input, act);
    checkReply(input.reply);
    const flight = await this.#elsewhere(input.id);
    const link = await this.#linkFor(flight);
    const { reply, by, request = '' } = input;
    const waitMs = Math.min(input.waitMs, longestWaitMs);
    try {
      const answer = await link.ask({ type: 'reply', invocationId: flight.invocationId, request, reply, by, waitMs }, waitMs + onTheWayMs);
      // No write of this node's goes with it. What is said again, since this one failed, is the same reply there.
      const about = { flight: flightOfInvocation(flight.invocationId), agent: answer.flight.target, request: answer.request };
      await this.#parts.audit?.record({ kind: requestKinds[reply.kind], about, ...act });
      return { flight: answer.flight, request: answer.request, confirmed: answer.confirmed };
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'deadline') throw error;
      throw unavailable(`${link.peer.name} did not say whether it took the reply`, 'say it again: twice is the same as once');
    }
  }

  /** A peer's person replies by way of this node. */
  async answer(link: Link, { invocationId, request, reply, by, waitMs }: RelayedReply): Promise<AnswerTo<RelayedReply>> {
    const { peer } = link;
    const id = flightOfInvocation(invocationId);
    const refusal = await this.#parts.policy.refusalFor(peer, 'control', this.#parts.targetOf(id));
    if (refusal !== undefined) throw refusal;
    const given = await this.#parts.replies.give({
      id,
      ...(request === '' ? {} : { request }),
      reply,
      by: `${by} on ${peer.name}`,
      waitMs: Math.min(waitMs, longestWaitMs),
    }, actOfPeer(link, by));
    return { type: 'reply', ...given, flight: this.#parts.sight.flight(peer, given.flight) };
  }

  #isKnown(argument: string): boolean {
    try {
      this.#parts.find(argument);
      return true;
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'not_found') return false;
      throw error;
    }
  }

  async #elsewhere(argument: string): Promise<Between> {
    const id = parseIdArgument(argument);
    const end = id.kind === 'id' ? id.ulid : id.kind === 'suffix' ? id.suffix : undefined;
    const { waiting, gaps } = await this.#parts.waiting();
    const [first, second] = end === undefined ? [] : waiting.filter(({ flight }) => flight.id.endsWith(end));
    if (second !== undefined) throw new BrokerError('ambiguous', `several that wait end in ${argument}`, { hint: `give more of it: ${first?.flight.id} or ${second.flight.id}` });
    if (first !== undefined) return first.flight;
    // Of another person, whose rules may let this one answer.
    const found = id.kind === 'id' ? await this.#parts.whereabouts(argument).catch(ifUnknown) : undefined;
    if (found !== undefined) return found;
    const asked = gaps.length === 0 ? '' : `; not asked: ${gaps.map(({ nodeName }) => nodeName).join(', ')}`;
    throw notFound(`nothing with the id ${argument} waits on any node of yours${asked}`, 'list what waits: beckon inbox');
  }

  /** The owner takes it at once; the origin carries it there. Nodes of this one's person come first; another's judges who answers. */
  async #linkFor({ ownerNodeId, originNodeId, invocationId }: Between): Promise<Link> {
    const { mesh, self } = this.#parts;
    const links = (await Promise.all([ownerNodeId, originNodeId].map(async (nodeId) => mesh().link(nodeId) ?? (await mesh().want(nodeId))))).filter((each) => each !== undefined);
    const link = links.find((each) => each.peer.owner === self.owner()) ?? links[0];
    if (link === undefined) throw unavailable(`neither the node of the agent nor the one that invoked ${invocationId} can be reached from here`, 'see their state: beckon peers');
    return link;
  }
}

function ifUnknown(error: unknown): undefined {
  if (error instanceof BrokerError && error.code === 'not_found') return undefined;
  throw error;
}
