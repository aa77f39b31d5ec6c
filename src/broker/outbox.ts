/**
 * The origin's side: gets invocations to their owners, stores what the owners say, and never decides alone what only
 * an owner can know. One instance serves all peers; what belongs to one link ends with it.
 */
import { reconcile } from '../domain/reconciliation.ts';
import { attemptIdOf, flightOfInvocation } from '../domain/ids.ts';
import type { FlightId, InvocationId, NodeId } from '../domain/ids.ts';
import type { CancelledUnknown, Draining, FlightEvents, Receipt, Reject, SyncItem, SyncReply } from '../domain/messages.ts';
import { isTerminal } from '../domain/flight.ts';
import { isTerminalDelivery } from '../domain/delivery.ts';
import type { Link, Mesh } from '../domain/mesh-port.ts';
import type { Clock, Log, UlidSource } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';
import type { Feed } from './feed.ts';
import type { FlightTraces } from './flight-traces.ts';
import { taskBytes } from '../domain/invocation.ts';
import type { Work } from '../domain/invocation.ts';
import { flightOfOwner } from './spoken-of.ts';
import { storedWork } from './stored-work.ts';
import { Window } from './window.ts';

/** Forwards without receipt on one link: what is more waits in the store. */
const forwardWindow = { items: 256, bytes: 32 * 1024 * 1024 };
const pageSize = 500;
/** What was forwarded, or asked to be cancelled, and not answered for so long is asked about. */
const unansweredMs = 20_000;
export interface OutboxParts {
  readonly store: Store;
  readonly mesh: () => Mesh;
  readonly chronicler: Chronicler;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly traces: FlightTraces;
  readonly log: Log;
}

/** What belongs to one link and ends with it. */
interface Side {
  /** Forwarded, without receipt. */
  readonly window: Window<InvocationId>;
  /** What the owner was asked about, until its view arrives. */
  readonly asked: Map<InvocationId, SyncItem>;
  /** The last of the page that is being asked about: the next page follows its answer. */
  pageEnd: InvocationId | undefined;
  /** What was never sent is being sent; `again` when more came meanwhile. */
  draining: 'no' | 'yes' | 'again';
  /** The owner is going down: nothing more is sent over this link. */
  ownerDrains: boolean;
  /** It spoke of a flight that is not known here: said once. */
  toldUnknown: boolean;
}

export class Outbox {
  readonly #parts: OutboxParts;
  readonly #sides = new Map<Link, Side>();
  /** Callers that will not wait: their flights fail with the link. Not durable: after a restart of this node they are held. */
  readonly #notHeld = new Map<InvocationId, NodeId>();
  /** Cancels that were sent, until the flight is seen to end. */
  readonly #cancelling = new Map<InvocationId, NodeId>();
  /** Not held, so ended here; the owner, which may have them, is told with its next link. */
  readonly #givenUp = new Map<InvocationId, NodeId>();

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  async linkUp(link: Link): Promise<void> {
    this.#sides.set(link, { window: new Window(forwardWindow), asked: new Map(), pageEnd: undefined, draining: 'no', ownerDrains: false, toldUnknown: false });
    // Also a barrier: whatever attempt is open now was made on an older link, and is settled when this resolves.
    await this.#loseAttempts(link.peer.nodeId, 'the link was replaced');
    for (const [invocationId, ownerNodeId] of this.#givenUp) if (ownerNodeId === link.peer.nodeId) this.#sendCancel(link, invocationId);
    this.#askAboutSent(link, undefined);
    await this.#forwardUnsent(link);
  }

  async linkDown(link: Link, why: string): Promise<void> {
    this.#sides.get(link)?.window.close();
    this.#sides.delete(link);
    const { nodeId } = link.peer;
    if (this.#parts.mesh().link(nodeId) === undefined) await this.#loseAttempts(nodeId, why);
    for (const [invocationId, ownerNodeId] of this.#notHeld) {
      if (ownerNodeId === nodeId) await this.#failNotHeld(invocationId, why);
    }
  }

  /** Whether an invocation that is accepted now may go out over the link at once. */
  hasRoom(link: Link): boolean {
    return this.#sides.get(link)?.window.hasRoom ?? false;
  }

  /** Forwarded over a link that is up, and not answered. */
  isOnItsWay({ invocationId }: Flight): boolean {
    return this.#sides.values().some(({ window }) => window.has(invocationId));
  }

  isDraining(link: Link): boolean {
    return this.#sides.get(link)?.ownerDrains ?? false;
  }

  /** A flight was accepted with the plan to send it over `link`, as attempt 1, or to hold it. */
  accepted(flight: Flight, link: Link | undefined, isHeld: boolean, work?: Work): void {
    if (!isHeld) this.#notHeld.set(flight.invocationId, flight.ownerNodeId);
    const current = this.#parts.mesh().link(flight.ownerNodeId);
    if (current === undefined) void this.#parts.mesh().want(flight.ownerNodeId);
    if (link !== undefined && link === current && work !== undefined) this.#forward(link, 1, flight, work);
    else if (link !== undefined && link === current) void this.#settle(this.#forwardStored(link, flight.invocationId, 1));
    else if (current !== undefined) void this.#settle(this.#forwardUnsent(current));
    else if (!isHeld) void this.#settle(this.#failNotHeld(flight.invocationId, 'the link was lost'));
  }

  /** The user's cancel of what was sent, stored already. It is repeated until the owner has answered. */
  cancel(flight: Flight): void {
    const link = this.#parts.mesh().link(flight.ownerNodeId);
    this.#cancelling.set(flight.invocationId, flight.ownerNodeId);
    if (link !== undefined) this.#sendCancel(link, flight.invocationId);
    else void this.#parts.mesh().want(flight.ownerNodeId);
  }

  /** Call now and then: an owner whose store failed for a while has said nothing, and nothing else would ask it again. */
  askUnanswered(): void {
    const { mesh, clock, store } = this.#parts;
    for (const [link, { window, asked }] of this.#sides) {
      for (const invocationId of window.olderThan(clock.monotonic() - unansweredMs)) {
        const flight = store.read.flight(flightOfInvocation(invocationId));
        if (flight === undefined || isTerminal(flight.state)) {
          window.remove(invocationId);
          continue;
        }
        // It keeps its place until the owner has spoken: an owner that says nothing is given no more than the window.
        window.renew(invocationId, clock.monotonic());
        const item = { invocationId, receipted: flight.receivedAtMs !== undefined, lastSeq: flight.lastSeq, cancelRequested: flight.cancelRequestedAtMs !== undefined };
        asked.set(invocationId, item);
        link.send({ type: 'sync', items: [item] });
      }
    }
    for (const [invocationId, ownerNodeId] of this.#cancelling) {
      const flight = store.read.flight(flightOfInvocation(invocationId));
      const link = mesh().link(ownerNodeId);
      if (flight === undefined || isTerminal(flight.state)) this.#cancelling.delete(invocationId);
      else if (link !== undefined) this.#sendCancel(link, invocationId);
    }
  }

  async receipt(link: Link, message: Receipt): Promise<void> {
    const flight = await this.#parts.store.write.receipt({
      stamp: this.#parts.chronicler.stampAfter(message.hlc),
      invocationId: message.invocationId,
      fromNodeId: link.peer.nodeId,
      receivedAtMs: message.receivedAtMs,
    });
    this.#received(link, message.invocationId);
    if (flight !== undefined) this.#changed(flight);
  }

  async reject(link: Link, message: Reject): Promise<void> {
    const flight = await this.#parts.store.write.reject({
      stamp: this.#parts.chronicler.stampAfter(message.hlc),
      invocationId: message.invocationId,
      fromNodeId: link.peer.nodeId,
      reason: message.reason,
      error: message.error,
    });
    this.#received(link, message.invocationId);
    if (flight !== undefined) this.#changed(flight);
  }

  /** It has stored nothing of this attempt. What it is asked about when it is back, it is then sent. */
  async ownerDrains(link: Link, { invocationId, attempt, hlc }: Draining): Promise<void> {
    const side = this.#sides.get(link);
    if (side === undefined) return;
    side.ownerDrains = true;
    side.window.remove(invocationId);
    const stamp = this.#parts.chronicler.stampAfter(hlc);
    const flight = await this.#parts.store.write.defer({ stamp, invocationId, fromNodeId: link.peer.nodeId, attempt, reason: 'agent_offline', detail: drainingWords(link.peer.name) });
    if (flight !== undefined) this.#changed(flight);
    if (this.#notHeld.has(invocationId)) await this.#failNotHeld(invocationId, drainingWords(link.peer.name));
  }

  /** Stores, then acknowledges. Work that goes on although this origin has ended the flight is told to stop. */
  async events(link: Link, message: FlightEvents): Promise<void> {
    const { invocationId, receivedAtMs, events } = message;
    const last = events.at(-1);
    const stamp = last === undefined ? this.#parts.chronicler.stamp() : this.#parts.chronicler.stampAfter(last.hlc);
    const result = await this.#parts.store.write.applyEvents({ stamp, invocationId, fromNodeId: link.peer.nodeId, receivedAtMs, events });
    this.#received(link, invocationId);
    if (result === undefined) {
      link.send({ type: 'event_ack', invocationId, seq: 0, unknown: true });
      await this.#unknown(link, invocationId);
      return;
    }
    const { flight } = result;
    this.#changed(flight);
    link.send({ type: 'event_ack', invocationId, seq: flight.lastSeq, unknown: false });
    const goesOn = events.every((each) => each.body.kind !== 'finished');
    if (!goesOn) this.#givenUp.delete(invocationId);
    else if (flight.verdictBy === 'origin' && flight.state !== 'indeterminate') this.#sendCancel(link, invocationId);
  }

  async syncReply(link: Link, message: SyncReply): Promise<void> {
    const side = this.#sides.get(link);
    if (side === undefined) return;
    for (const owner of message.items) {
      const origin = side.asked.get(owner.invocationId);
      if (origin === undefined) flightOfOwner(this.#parts.store, link, owner.invocationId);
      if (origin === undefined) continue;
      side.asked.delete(owner.invocationId);
      side.window.remove(owner.invocationId);
      const step = reconcile(owner, origin);
      if (step === 'send') await this.#sendAgain(link, owner.invocationId);
      else if (step === 'cancel') this.#sendCancel(link, owner.invocationId);
      else if (step === 'indeterminate') await this.#ownerForgot(link, owner.invocationId);
    }
    const last = message.items.at(-1)?.invocationId;
    if (last !== undefined && last === side.pageEnd) this.#askAboutSent(link, last);
  }

  /** The owner never had it and never will: the cancel is confirmed. */
  async cancelledUnknown(link: Link, message: CancelledUnknown): Promise<void> {
    const flight = flightOfOwner(this.#parts.store, link, message.invocationId);
    if (flight !== undefined) this.#givenUp.delete(message.invocationId);
    if (flight?.cancelRequestedAtMs === undefined) return;
    this.#received(link, message.invocationId);
    // It had it once, and its store was put back: nobody knows what became of it.
    if (flight.receivedAtMs !== undefined) return this.#ownerForgot(link, message.invocationId);
    const ended = await this.#parts.store.write.endAtOrigin({
      stamp: this.#parts.chronicler.stampAfter(message.hlc),
      flightId: flight.id,
      outcome: { state: 'cancelled', ended: 0 },
      delivery: { status: 'cancelled', reason: 'cancelled' },
      unlessSent: false,
    });
    if (ended !== undefined) this.#changed(ended);
  }

  #askAboutSent(link: Link, after: InvocationId | undefined): void {
    const side = this.#sides.get(link);
    if (side === undefined) return;
    const items = this.#parts.store.read.openAt(link.peer.nodeId, after, pageSize);
    side.pageEnd = items.at(-1)?.invocationId;
    if (items.length === 0) return;
    for (const item of items) side.asked.set(item.invocationId, item);
    link.send({ type: 'sync', items });
  }

  async #forwardUnsent(link: Link): Promise<void> {
    const side = this.#sides.get(link);
    if (side === undefined || side.ownerDrains) return;
    if (side.draining !== 'no') {
      side.draining = 'again';
      return;
    }
    try {
      do {
        side.draining = 'yes';
        await this.#drainUnsent(link);
      } while (this.#isAgain(side));
    } finally {
      side.draining = 'no';
    }
  }

  #isAgain({ draining }: Side): boolean {
    return draining === 'again';
  }

  async #drainUnsent(link: Link): Promise<void> {
    let after: InvocationId | undefined;
    while (link.isUp && !this.isDraining(link)) {
      const page = this.#parts.store.read.unsent(link.peer.nodeId, after, pageSize);
      for (const invocationId of page) {
        const delivery = this.#parts.store.read.delivery(invocationId);
        if (delivery?.attempts === 0) await this.#attempt(link, invocationId, 1);
      }
      after = page.at(-1);
      if (page.length < pageSize) return;
    }
  }

  async #sendAgain(link: Link, invocationId: InvocationId): Promise<void> {
    const delivery = this.#parts.store.read.delivery(invocationId);
    if (delivery === undefined || isTerminalDelivery(delivery.status)) return;
    // The owner could not take it when it came over this very link: the same attempt goes out again.
    if (delivery.status === 'sent') await this.#forwardStored(link, invocationId, delivery.attempts);
    else await this.#attempt(link, invocationId, delivery.attempts + 1);
  }

  /** Waits only for room in the window; the attempt itself goes on by itself. */
  async #attempt(link: Link, invocationId: InvocationId, number: number): Promise<void> {
    const window = this.#sides.get(link)?.window;
    if (window === undefined || window.has(invocationId)) return;
    await window.room();
    if (!link.isUp || this.isDraining(link) || window.has(invocationId)) return;
    window.add(invocationId, { addedAtMs: this.#parts.clock.monotonic(), bytes: this.#parts.store.read.taskBytes(invocationId) });
    void this.#settle(this.#beginAndForward(link, window, invocationId, number));
  }

  async #beginAndForward(link: Link, window: Window<InvocationId>, invocationId: InvocationId, number: number): Promise<void> {
    const { store, chronicler, ulids } = this.#parts;
    const begun = await store.write.beginAttempt({ stamp: chronicler.stamp(), invocationId, attemptId: attemptIdOf(ulids.next()) });
    if (!begun) {
      window.remove(invocationId);
      return;
    }
    this.#parts.feed.changed(flightOfInvocation(invocationId));
    if (this.#parts.mesh().link(link.peer.nodeId) === link) await this.#forwardStored(link, invocationId, number);
    // The link went while the attempt was written, and the attempts that were lost with it were collected before.
    else await this.#loseAttempts(link.peer.nodeId, 'the link was lost');
  }

  async #forwardStored(link: Link, invocationId: InvocationId, attempt: number): Promise<void> {
    const { store, mesh } = this.#parts;
    const work = await storedWork(store, invocationId);
    // A link that went meanwhile has lost the attempt, and the next one begins another.
    if (work !== undefined && mesh().link(link.peer.nodeId) === link) this.#forward(link, attempt, store.read.flight(flightOfInvocation(invocationId)), work);
  }

  #forward(link: Link, attempt: number, flight: Flight | undefined, { invocation, task }: Work): void {
    const { chronicler, clock } = this.#parts;
    if (flight === undefined || isTerminal(flight.state)) return;
    this.#sides.get(link)?.window.add(invocation.id, { addedAtMs: clock.monotonic(), bytes: taskBytes(task) });
    const now = clock.now();
    const limits = { ...invocation.limits, holdMs: Math.max(0, flight.holdUntilMs - now), totalMs: Math.max(0, flight.totalUntilMs - now) };
    link.send({ type: 'forward', invocation: this.#parts.traces.forwarded({ ...invocation, limits }, attempt), task, attempt, hlc: chronicler.stamp().hlc });
  }

  async #loseAttempts(toNodeId: NodeId, detail: string): Promise<void> {
    await this.#parts.store.write.loseAttempts({ stamp: this.#parts.chronicler.stamp(), toNodeId, reason: 'peer_unreachable', detail });
    this.#parts.feed.ownerChanged(toNodeId);
  }

  async #failNotHeld(invocationId: InvocationId, why: string): Promise<void> {
    this.#notHeld.delete(invocationId);
    const ended = await this.#parts.store.write.endAtOrigin({
      stamp: this.#parts.chronicler.stamp(),
      flightId: flightOfInvocation(invocationId),
      outcome: { state: 'failed', error: { code: 'unavailable', message: `it was not received (${why}), and --no-hold forbids waiting` } },
      delivery: { status: 'dead', reason: 'peer_unreachable' },
      unlessSent: false,
    });
    if (ended === undefined) return;
    this.#givenUp.set(invocationId, ended.ownerNodeId);
    this.#changed(ended);
  }

  async #ownerForgot(link: Link, invocationId: InvocationId): Promise<void> {
    const ended = await this.#parts.store.write.endAtOrigin({
      stamp: this.#parts.chronicler.stamp(),
      flightId: flightOfInvocation(invocationId),
      outcome: {
        state: 'indeterminate',
        error: {
          code: 'unavailable',
          message: `${link.peer.name} acknowledged it and now knows less of it than it had said: its store was put back to an older state`,
          hint: 'it may have run: see what it did before you invoke it again',
        },
      },
      delivery: undefined,
      unlessSent: false,
    });
    if (ended !== undefined) this.#changed(ended);
  }

  /** Its records were pruned, or this store was put back to an older state: its caller can't be told here how it ended. */
  async #unknown(link: Link, invocationId: InvocationId): Promise<void> {
    const side = this.#sides.get(link);
    if (side === undefined || side.toldUnknown) return;
    side.toldUnknown = true;
    this.#parts.log.warn({ peer: link.peer.name, peerId: link.peer.nodeId, invocationId }, 'a peer reports on work of this node that is not known here');
    const detail = { invocation: invocationId };
    await this.#parts.store.write.note({ stamp: this.#parts.chronicler.stamp(), what: 'flight.unknown', peerNodeId: link.peer.nodeId, detail });
  }

  #sendCancel(link: Link, invocationId: InvocationId): void {
    link.send({ type: 'cancel', invocationId, hlc: this.#parts.chronicler.stamp().hlc });
  }

  #received(link: Link, invocationId: InvocationId): void {
    this.#notHeld.delete(invocationId);
    this.#sides.get(link)?.window.remove(invocationId);
  }

  #changed(flight: { readonly id: FlightId }): void {
    this.#parts.feed.changed(flight.id);
  }

  async #settle(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#parts.log.error({ err: error }, 'forwarding stopped; it is tried again with the next link');
    }
  }
}

export function drainingWords(nodeName: string): string {
  return `${nodeName} is draining: it takes no new work until it is back`;
}
