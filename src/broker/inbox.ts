/**
 * The owner's side: judges what peers forward, stores it once, and answers for it. Who asks is the link's verified
 * peer; what a message says of itself only has to agree.
 */
import { parseAddress } from '../domain/address.ts';
import type { Audit } from '../domain/audit.ts';
import { flawOfChain } from '../domain/ancestry.ts';
import { BrokerError, denied, toBrokerError, unavailable } from '../domain/errors.ts';
import { longestDurationMs } from '../domain/duration.ts';
import type { FailureReason } from '../domain/delivery.ts';
import { isTerminal } from '../domain/flight.ts';
import { flightOfInvocation, sessionOfInvocation } from '../domain/ids.ts';
import type { InvocationId, NodeId } from '../domain/ids.ts';
import type { Invocation, Work } from '../domain/invocation.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Cancel, EventAck, Forward, Sync, SyncReply } from '../domain/messages.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { Clock, Log } from '../domain/ports.ts';
import { newFlight } from '../domain/new-flight.ts';
import { usualQueueLimit } from '../domain/queue-share.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import { actOfPeer } from './acts.ts';
import type { Claim } from './active-runs.ts';
import type { Chronicler } from './chronicler.ts';
import { EventPump } from './event-pump.ts';
import type { FlightTraces } from './flight-traces.ts';
import type { BrokerMeasures } from './measures.ts';
import type { Policy } from './policy.ts';
import type { Rollback } from './rollback.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';
import type { Sessions } from './sessions.ts';
import { agentGone } from './verdicts.ts';

const complainEveryMs = 60_000;

export interface InboxParts {
  readonly store: Store;
  readonly self: Self;
  readonly chronicler: Chronicler;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly log: Log;
  readonly isDraining: () => boolean;
  readonly isLeaving: () => boolean;
  readonly rollback: () => Rollback;
  readonly sessions: Sessions;
  readonly traces: FlightTraces;
  /** There is something for that node, and no link with it. */
  readonly want: (nodeId: NodeId) => void;
  readonly policy: Policy;
  readonly measures?: BrokerMeasures | undefined;
  readonly audit?: Audit;
}

export class Inbox {
  readonly #parts: InboxParts;
  readonly #pumps = new Map<Link, EventPump>();
  #overloadToldMs = Number.NEGATIVE_INFINITY;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  linkUp(link: Link): void {
    const pump = new EventPump(link, this.#parts);
    this.#pumps.set(link, pump);
    pump.resume();
  }

  /** Call now and then: what an origin could not store when it came goes out again. */
  resendStalled(): void {
    for (const pump of this.#pumps.values()) pump.resendStalled();
  }

  linkDown(link: Link): void {
    this.#pumps.get(link)?.close();
    this.#pumps.delete(link);
  }

  /** A flight owned here has new events: its origin, if it is a peer with a link, gets them. */
  flightChanged(flight: Flight): void {
    if (flight.originNodeId === this.#parts.self.nodeId) return;
    let isLinked = false;
    for (const [link, pump] of this.#pumps) {
      if (link.peer.nodeId !== flight.originNodeId) continue;
      isLinked = true;
      pump.kick(flight.invocationId, flight);
    }
    if (!isLinked) this.#parts.want(flight.originNodeId);
  }

  async forward(link: Link, message: Forward): Promise<void> {
    const { task } = message;
    const invocation = this.#parts.traces.received(this.#asCalledNow(message.invocation));
    // It is not coming back to this mesh: better known now than when all have heard of it.
    if (this.#parts.isLeaving() && this.#parts.store.read.flight(flightOfInvocation(invocation.id)) === undefined) {
      this.#reject(link, invocation.id, 'peer_rejected', unavailable(`${this.#parts.self.name()} is leaving the mesh`, 'invoke it on another node'));
      return;
    }
    if (this.#parts.isDraining()) {
      this.#putOff(link, message);
      return;
    }
    const unsettled = this.#parts.policy.settled(link.peer);
    if (unsettled !== undefined) await unsettled;
    const refusal = this.#judge(link, invocation);
    if (refusal !== undefined) {
      if (refusal.reason === 'denied') this.#parts.audit?.refused({ kind: 'policy.denied', about: { verb: 'invoke', agent: invocation.target, rule: refusal.error.message } }, actOfPeer(link));
      this.#reject(link, invocation.id, refusal.reason, refusal.error);
      return;
    }
    const stamp = this.#parts.chronicler.stampAfter(message.hlc);
    const sessionOf = this.#parts.sessions.of(invocation.target, link.peer.owner);
    const claim = this.#claim(link, { invocation, task }, stamp.atMs, sessionOf.sessionOwner !== undefined);
    try {
      const retryAfterMs = this.#parts.runner.retryAfterMs(invocation.target);
      const result = await this.#parts.store.write.receive({ stamp, invocation, task, queueLimit: usualQueueLimit, retryAfterMs, originOwner: link.peer.owner, ...sessionOf, start: claim !== undefined });
      if (result === 'cancelled') {
        claim?.dropped();
        this.#parts.measures?.forwards.add('cancelled_before');
        link.send({ type: 'cancelled_unknown', invocationId: invocation.id, hlc: stamp.hlc });
        return;
      }
      const { flight, fresh } = result;
      this.#parts.measures?.forwards.add(fresh ? 'received' : 'known');
      // Its event `started`, which is told at once, says that it was received, too.
      if (claim !== undefined && fresh && flight.state === 'running') return claim.started(flight);
      claim?.dropped();
      link.send({ type: 'receipt', invocationId: invocation.id, receivedAtMs: flight.receivedAtMs ?? stamp.atMs, hlc: stamp.hlc });
      if (fresh) this.#parts.runner.wake(invocation.target);
      else this.#pumps.get(link)?.kick(invocation.id);
    } catch (error) {
      claim?.dropped();
      const known = toBrokerError(error);
      // A store that fails for now (disk full) has said nothing of the invocation: the origin goes on holding it.
      if (known.code === 'unavailable' || known.code === 'internal') throw known;
      this.#reject(link, invocation.id, reasonOf(known), known);
    }
  }

  /** A turn of a session that others may be in waits for its turn there. */
  #claim(link: Link, { invocation, task }: Work, atMs: number, keepsSessions: boolean): Claim | undefined {
    if (invocation.session.mode !== 'new') return undefined;
    const sessionId = keepsSessions ? sessionOfInvocation(invocation.id) : undefined;
    return this.#parts.runner.claim(newFlight(invocation, { isOwned: true, atMs, sessionId, originOwner: link.peer.owner }), { invocation, task });
  }

  /** This node is going down: the origin keeps it, and brings it again when this node is back. */
  #putOff(link: Link, { invocation: { id }, attempt }: Forward): void {
    this.#parts.measures?.forwards.add('draining');
    const { hlc } = this.#parts.chronicler.stamp();
    const known = this.#parts.store.read.flight(flightOfInvocation(id));
    if (known === undefined) link.send({ type: 'draining', invocationId: id, attempt, hlc });
    else if (known.originNodeId === link.peer.nodeId) link.send({ type: 'receipt', invocationId: id, receivedAtMs: known.receivedAtMs ?? known.acceptedAtMs, hlc });
  }

  async cancel(link: Link, message: Cancel): Promise<void> {
    const stamp = this.#parts.chronicler.stampAfter(message.hlc);
    const { invocationId } = message;
    const known = await this.#parts.store.write.receiveCancel({ stamp, invocationId, originNodeId: link.peer.nodeId });
    if (known === 'tombstone') link.send({ type: 'cancelled_unknown', invocationId, hlc: stamp.hlc });
    else if (isTerminal(known.state)) this.#pumps.get(link)?.kick(invocationId);
    else await this.#parts.runner.end(known.id, 'cancel');
  }

  /** What this owner holds of each; events follow from where the origin's end. */
  async sync(link: Link, message: Sync): Promise<void> {
    const items: SyncReply['items'][number][] = [];
    const pump = this.#pumps.get(link);
    const behind: { flight: Flight; originSeq: number }[] = [];
    const lost: InvocationId[] = [];
    for (const { invocationId, lastSeq, receipted } of message.items) {
      const flight = this.#parts.store.read.flight(flightOfInvocation(invocationId));
      if (flight === undefined || flight.originNodeId !== link.peer.nodeId || flight.ownerNodeId !== this.#parts.self.nodeId) {
        items.push({ invocationId, state: 'unknown', run: 0, lastSeq: 0 });
        if (receipted) lost.push(invocationId);
        continue;
      }
      items.push({ invocationId, state: flight.state, run: flight.run, lastSeq: flight.lastSeq });
      // A receipt that was lost with the last link is said again.
      link.send({ type: 'receipt', invocationId, receivedAtMs: flight.receivedAtMs ?? flight.acceptedAtMs, hlc: this.#parts.chronicler.stamp().hlc });
      if (flight.lastSeq > lastSeq) pump?.resumeFrom(invocationId, lastSeq);
      if (flight.lastSeq < lastSeq) behind.push({ flight, originSeq: lastSeq });
    }
    link.send({ type: 'sync_reply', items });
    const rollback = this.#parts.rollback();
    if (lost[0] !== undefined) await rollback.suspect(link, `${link.peer.name} has this node's receipt of ${lost[0]}, and this store knows nothing of it`);
    for (const { flight, originSeq } of behind) await rollback.isBehind(link, flight, originSeq);
  }

  eventAck(link: Link, message: EventAck): void {
    this.#pumps.get(link)?.acknowledged(message);
  }

  /** Whom it is for is said by the owner's id. Its name in the address may be one that this node had when the invocation was accepted. */
  #asCalledNow(invocation: Invocation): Invocation {
    const { store, self } = this.#parts;
    if (invocation.ownerNodeId !== self.nodeId || store.read.ownRegistration(invocation.target) !== undefined) return invocation;
    const { agent, workspace } = parseAddress(invocation.target);
    const same = store.read.ownRegistrations().find(({ address }) => {
      const own = parseAddress(address);
      return own.agent === agent && own.workspace === workspace;
    });
    return same === undefined ? invocation : { ...invocation, target: same.address };
  }

  #judge(link: Link, invocation: Invocation): { reason: FailureReason; error: BrokerError } | undefined {
    const { store, self } = this.#parts;
    const { peer } = link;
    if (invocation.originNodeId !== peer.nodeId) {
      return { reason: 'denied', error: denied(`${peer.name} can't hand over work in another node's name`) };
    }
    if (invocation.ownerNodeId !== self.nodeId) {
      return { reason: 'peer_rejected', error: new BrokerError('invalid', `${invocation.target} is not an agent of ${self.name()}`) };
    }
    if (invocation.limits.holdMs > longestDurationMs || invocation.limits.totalMs > longestDurationMs) {
      return { reason: 'peer_rejected', error: new BrokerError('invalid', 'its deadlines are more than a year away') };
    }
    const refusal = this.#parts.policy.refusalOf(peer, invocation.target);
    if (refusal !== undefined) return { reason: 'denied', error: refusal };
    const registered = store.read.ownRegistration(invocation.target);
    if (registered === undefined || registered.visibility === 'node') {
      return { reason: 'agent_offline', error: agentGone(invocation.target, store.read.unlistedWhy(invocation.target)) };
    }
    const wrongSession = this.#parts.sessions.flawOf(invocation.session, registered.harness);
    if (wrongSession !== undefined) return { reason: 'peer_rejected', error: wrongSession };
    // Its origin should not have taken it: the chain may have come by nodes that count otherwise.
    const flaw = flawOfChain(invocation.target, invocation.ancestry);
    return flaw === undefined ? undefined : { reason: 'peer_rejected', error: flaw };
  }

  /** A flood is refused by the thousand: one line a minute tells it. */
  #isWorthALine(reason: FailureReason): boolean {
    const now = this.#parts.clock.monotonic();
    if (reason === 'overload' && now - this.#overloadToldMs < complainEveryMs) return false;
    if (reason === 'overload') this.#overloadToldMs = now;
    return true;
  }

  #reject(link: Link, invocationId: InvocationId, reason: FailureReason, error: BrokerError): void {
    this.#parts.measures?.forwards.add(reason);
    if (this.#isWorthALine(reason)) this.#parts.log.warn({ ...peerFields(link.peer), invocationId, reason, code: error.code }, 'an invocation was refused');
    link.send({ type: 'reject', invocationId, reason, error: error.toInfo(), hlc: this.#parts.chronicler.stamp().hlc });
  }
}

function reasonOf({ code }: BrokerError): FailureReason {
  return code === 'overload' || code === 'denied' ? code : 'peer_rejected';
}
