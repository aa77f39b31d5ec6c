/**
 * What people say to the requests of agents, on its way: stored where it is given, sent to the owner of the flight and
 * repeated until that has said what it made of it, taken there at most once.
 */
import { fromInfo, internal, toBrokerError } from '../domain/errors.ts';
import { flightOfInvocation, parseIdArgument } from '../domain/ids.ts';
import type { GivenReply, ReplyOutcome } from '../domain/messages.ts';
import type { Act } from '../domain/audit.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import { checkReply, flawOfReply } from '../domain/request.ts';
import type { Answer, Reply } from '../domain/request.ts';
import type { Store, StoredReply } from '../domain/store-port.ts';
import type { ReplyInput } from './api.ts';
import { actOfPeer } from './acts.ts';
import type { Chronicler } from './chronicler.ts';
import type { Feed } from './feed.ts';
import { readFlight } from './follow.ts';
import type { Policy } from './policy.ts';
import type { Self } from './self.ts';
import { until } from './until.ts';

/** Sent again at a time, to one owner; the next ones follow when these are settled. */
const batch = 500;

export interface RepliesParts {
  readonly policy: Policy;
  readonly store: Store;
  readonly self: Self;
  readonly mesh: () => Mesh;
  readonly feed: Feed;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly find: (argument: string) => Flight;
  /** The flight goes on, and its agent is to be told. */
  readonly onTaken: (flight: Flight, request: string, answer: Answer) => void;
}

export interface ReplyResult {
  readonly flight: Flight;
  readonly request: string;
  /** The owner has taken it. */
  readonly confirmed: boolean;
}

export class Replies {
  readonly #parts: RepliesParts;

  constructor(parts: RepliesParts) {
    this.#parts = parts;
  }

  /** @throws `conflict` when the request is not open, known here or by the owner's word within `waitMs` */
  async give({ id, request: named, reply, by, waitMs }: ReplyInput, act?: Act): Promise<ReplyResult> {
    checkReply(reply);
    const { store, chronicler, feed } = this.#parts;
    const found = this.#parts.find(id);
    const request = requestOf(found, named, reply);
    const given = await store.write.giveReply({ stamp: chronicler.stamp(), act, flightId: found.id, request, reply, by });
    feed.changed(found.id);
    if (given.isTaken) this.#parts.onTaken(given.flight, request, { ...reply, by });
    if (given.isSettled) return { flight: given.flight, request, confirmed: true };
    const link = this.#parts.mesh().link(found.ownerNodeId) ?? (await this.#parts.mesh().want(found.ownerNodeId));
    const stored = store.read.reply(found.invocationId, request);
    if (link !== undefined && stored !== undefined) this.#send(link, stored);
    const settled = await until(this.#parts, found.id, waitMs, () => {
      const now = store.read.reply(found.invocationId, request);
      return now?.isSettled === true ? now : undefined;
    });
    if (settled?.error !== undefined) throw fromInfo(settled.error);
    return { flight: readFlight(store, found.id), request, confirmed: settled !== undefined };
  }

  linkUp(link: Link): void {
    for (const stored of this.#parts.store.read.openReplies(link.peer.nodeId, batch)) this.#send(link, stored);
  }

  /** Call now and then: an owner whose store failed for a while has said nothing. */
  repeat(): void {
    for (const link of this.#parts.mesh().links()) this.linkUp(link);
  }

  /** At the owner. */
  async received(link: Link, { invocationId, request, reply, by, hlc }: GivenReply): Promise<void> {
    const stamp = this.#parts.chronicler.stampAfter(hlc);
    const said = `${by} on ${link.peer.name}`;
    try {
      await this.#parts.policy.settled(link.peer);
      // Who may not have it done any more has nothing to say in it but its end.
      const asked = this.#parts.store.read.flight(flightOfInvocation(invocationId));
      const refusal = asked?.originNodeId === link.peer.nodeId ? this.#parts.policy.refusalOf(link.peer, asked.target) : undefined;
      if (refusal !== undefined) throw refusal;
      const { flight, isTaken } = await this.#parts.store.write.receiveReply({ stamp, act: actOfPeer(link, by), invocationId, originNodeId: link.peer.nodeId, request, reply, by: said });
      if (isTaken) this.#parts.onTaken(flight, request, { ...reply, by: said });
      link.send({ type: 'reply_outcome', invocationId, request, hlc: stamp.hlc });
    } catch (error) {
      const known = toBrokerError(error);
      // A store that fails for now has said nothing: the other side goes on asking.
      if (known.code === 'unavailable' || known.code === 'internal') throw known;
      link.send({ type: 'reply_outcome', invocationId, request, error: known.toInfo(), hlc: stamp.hlc });
    }
  }

  /** Where it was given. */
  async outcome(link: Link, { invocationId, request, error, hlc }: ReplyOutcome): Promise<void> {
    const { store, chronicler, feed } = this.#parts;
    const isNew = await store.write.settleReply({
      stamp: chronicler.stampAfter(hlc),
      invocationId,
      fromNodeId: link.peer.nodeId,
      request,
      ...(error === undefined ? {} : { error }),
    });
    if (isNew) feed.changed(flightOfInvocation(invocationId));
  }

  #send(link: Link, { invocationId, request, reply, by }: StoredReply): void {
    link.send({ type: 'reply', invocationId, request, reply, by, hlc: this.#parts.chronicler.stamp().hlc });
  }
}

/** The request that was named: whole, by a suffix, or as the one that is open. @throws `conflict` when none can be meant */
function requestOf({ state, waiting, cancelRequestedAtMs }: Flight, named: string | undefined, reply: Reply): string {
  const open = waiting?.request;
  const id = named === undefined ? ({ kind: 'last' } as const) : parseIdArgument(named);
  if (id.kind === 'id') return `${id.prefix}_${id.ulid}`;
  if (open !== undefined && (id.kind === 'last' || open.endsWith(id.suffix))) return open;
  const asking = { state, isCancelling: cancelRequestedAtMs !== undefined, request: open, reason: waiting?.reason };
  throw flawOfReply(asking, id.kind === 'suffix' ? `…${id.suffix}` : '', reply) ?? internal('a request that is open was not found');
}
