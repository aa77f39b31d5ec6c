/**
 * Sends the events of flights owned here to their origin over one link: from the store, in `seq` order, round robin
 * over the flights that have some, never more than a window ahead of what the origin has stored. A slow origin costs
 * disk here, not memory, and holds up nobody's agent.
 */
import { denied } from '../domain/errors.ts';
import { flightOfInvocation } from '../domain/ids.ts';
import type { FlightId, InvocationId } from '../domain/ids.ts';
import type { EventAck } from '../domain/messages.ts';
import { contentBytes } from '../domain/flight-event.ts';
import type { FlightEvent } from '../domain/flight-event.ts';
import { peerFields } from '../domain/log-fields.ts';
import type { Link } from '../domain/mesh-port.ts';
import type { CancelTimer, Clock, Log } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';

/** Unacknowledged output of one flight, bytes: its credit. */
const windowBytes = 1024 * 1024;
const batchBytes = 64 * 1024;
/** Acknowledgements are stored when a flight is done or this much has been covered; the rest would be sent again after a restart. */
const storeAckEveryBytes = 4 * 1024 * 1024;
const bytesPerEvent = 64;
/** So long, and up to twice as long, a start waits for what follows it; at most so long an acknowledgement waits for others. Most answers that take less are all that their origin hears: one commit instead of two. */
export const togetherMs = 20;
const mostAcks = 256;
/** Flights that an origin has missed something of, resumed at once. */
const resumePage = 500;
/** An origin that acknowledges nothing for so long could not store what it got: it gets it again. */
export const stalledMs = 20_000;

interface Cursor {
  sentSeq: number;
  ackedSeq: number;
  /** Of the last event in the store, as far as this pump was told: there may be none after it. */
  lastSeq: number;
  /** Of the event that ends the flight, once it was sent. */
  endSeq: number | undefined;
  receivedAtMs: number | undefined;
  /** There was no room for more in the window. */
  isBlocked: boolean;
  /** What was sent and not yet acknowledged, oldest first. */
  readonly unacked: { readonly seq: number; readonly bytes: number }[];
  unackedBytes: number;
  ackedSinceStored: number;
  /** Monotonic ms since when the oldest of `unacked` waits, at the most. */
  movedAtMs: number;
}

export interface EventPumpParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

export class EventPump {
  readonly #link: Link;
  readonly #parts: EventPumpParts;
  readonly #cursors = new Map<InvocationId, Cursor>();
  readonly #ready = new Set<InvocationId>();
  /** Of which there is nothing to tell but that they have: since the timer began, and before. */
  #begun = new Set<InvocationId>();
  #begunBefore = new Set<InvocationId>();
  /** What the origin has of flights that are over, to be stored. */
  readonly #acks = new Map<FlightId, number>();
  #isDue: CancelTimer | undefined;
  /** Of the pages that were resumed, what is still not acknowledged as far as it went then. */
  readonly #resuming = new Map<InvocationId, number>();
  /** The last of these pages. */
  #resumed: InvocationId | undefined;
  #isAllResumed = true;
  #pumping = false;

  constructor(link: Link, parts: EventPumpParts) {
    this.#link = link;
    this.#parts = parts;
  }

  /** Everything of that origin which it has not acknowledged: however much that is, a page of it at a time. */
  resume(): void {
    this.#resumed = undefined;
    this.#isAllResumed = false;
    this.#resumeMore();
  }

  #resumeMore(): void {
    if (this.#isAllResumed || this.#resuming.size > resumePage / 2) return;
    const page = this.#parts.store.read.unacknowledged(this.#link.peer.nodeId, this.#resumed, resumePage);
    this.#isAllResumed = page.length < resumePage;
    this.#resumed = page.at(-1)?.invocationId;
    for (const { invocationId, ackedSeq, lastSeq } of page) {
      this.#resuming.set(invocationId, lastSeq);
      if (!this.#cursors.has(invocationId)) this.resumeFrom(invocationId, ackedSeq);
    }
  }

  /** The origin says that it has events through `seq`, and no more. */
  resumeFrom(invocationId: InvocationId, seq: number): void {
    this.#cursors.set(invocationId, this.#cursorAt(seq));
    this.kick(invocationId);
  }

  /** Call now and then. */
  resendStalled(): void {
    const nowMs = this.#parts.clock.monotonic();
    for (const [invocationId, cursor] of this.#cursors) {
      if (cursor.unacked.length > 0 && nowMs - cursor.movedAtMs >= stalledMs) this.resumeFrom(invocationId, cursor.ackedSeq);
    }
  }

  /** The flight has new events in the store. @param flight as it is now, when that is at hand */
  kick(invocationId: InvocationId, flight?: Flight): void {
    const cursor = this.#cursors.get(invocationId) ?? this.#cursorAt(0);
    this.#cursors.set(invocationId, cursor);
    // A record that says nothing new may be an old one: then the store is asked.
    cursor.lastSeq = flight !== undefined && flight.lastSeq > cursor.lastSeq ? flight.lastSeq : Number.POSITIVE_INFINITY;
    cursor.receivedAtMs ??= flight?.receivedAtMs;
    if (cursor.sentSeq === 0 && flight?.state === 'running' && flight.lastSeq === 1) this.#begun.add(invocationId);
    else this.#ready.add(invocationId);
    if (this.#begun.size > 0) this.#soon();
    if (this.#ready.size > 0) this.#wake();
  }

  /** That something has begun, and nothing more, may leave with what follows; and what is stored of acknowledgements shares a commit. */
  #soon(): void {
    this.#isDue ??= this.#parts.clock.setTimer(togetherMs, () => {
      this.#isDue = undefined;
      for (const invocationId of this.#begunBefore) this.#ready.add(invocationId);
      this.#begunBefore = this.#begun;
      this.#begun = new Set();
      this.#storeAcks();
      if (this.#begunBefore.size > 0) this.#soon();
      if (this.#ready.size > 0) this.#wake();
    });
  }

  /** Its link is gone: what it brought is stored. */
  close(): void {
    this.#isDue?.();
    this.#isDue = undefined;
    this.#begun.clear();
    this.#begunBefore.clear();
    this.#storeAcks();
  }

  #storeAcks(): void {
    const originNodeId = this.#link.peer.nodeId;
    for (const [flightId, seq] of this.#acks) {
      this.#parts.store.write.acknowledged({ flightId, originNodeId, seq }).catch((error: unknown) => {
        this.#parts.log.warn({ peer: this.#link.peer.name, flightId, err: error }, 'what an origin has could not be stored: it gets it again with its next link');
      });
    }
    this.#acks.clear();
  }

  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pump().catch((error: unknown) => this.#parts.log.error({ ...peerFields(this.#link.peer), err: error }, 'sending events stopped'));
  }

  /** @throws BrokerError `denied` for the word of another than its origin */
  acknowledged(ack: EventAck): void {
    if (ack.unknown || ack.seq >= (this.#resuming.get(ack.invocationId) ?? Number.POSITIVE_INFINITY)) {
      this.#resuming.delete(ack.invocationId);
      this.#resumeMore();
    }
    const cursor = this.#cursors.get(ack.invocationId);
    if (cursor !== undefined && !ack.unknown && ack.seq <= cursor.sentSeq && this.#isMidway(cursor, ack.seq)) {
      this.#release(cursor, ack.seq);
      if (cursor.isBlocked) this.kick(ack.invocationId);
      return;
    }
    const flight = this.#parts.store.read.flight(flightOfInvocation(ack.invocationId));
    const originNodeId = this.#link.peer.nodeId;
    if (flight === undefined) return;
    if (flight.originNodeId !== originNodeId) throw denied(`${ack.invocationId} is not for this node to acknowledge`);
    const seq = ack.unknown ? flight.lastSeq : Math.min(ack.seq, flight.lastSeq);
    const isDone = flight.finishedAtMs !== undefined && seq >= flight.lastSeq;
    if (cursor !== undefined) this.#release(cursor, seq);
    const isDue = isDone || ack.unknown || (cursor !== undefined && cursor.ackedSinceStored >= storeAckEveryBytes);
    if (isDone) this.#cursors.delete(ack.invocationId);
    else if (!ack.unknown) this.kick(ack.invocationId);
    if (!isDue) return;
    if (cursor !== undefined) cursor.ackedSinceStored = 0;
    this.#acks.set(flight.id, seq);
    if (this.#acks.size >= mostAcks) this.#storeAcks();
    else this.#soon();
  }

  /** There is more to come, and not so much was covered that it is worth to be stored. */
  #isMidway({ endSeq, ackedSinceStored, unackedBytes }: Cursor, seq: number): boolean {
    return (endSeq === undefined || seq < endSeq) && ackedSinceStored + unackedBytes < storeAckEveryBytes;
  }

  #cursorAt(seq: number): Cursor {
    return { sentSeq: seq, ackedSeq: seq, lastSeq: seq, endSeq: undefined, receivedAtMs: undefined, isBlocked: false, unacked: [], unackedBytes: 0, ackedSinceStored: 0, movedAtMs: this.#parts.clock.monotonic() };
  }

  #release(cursor: Cursor, seq: number): void {
    // An acknowledgement of nothing new is the word of an origin that could not store what came before.
    if (seq > cursor.ackedSeq) cursor.movedAtMs = this.#parts.clock.monotonic();
    cursor.ackedSeq = Math.max(cursor.ackedSeq, seq);
    cursor.sentSeq = Math.max(cursor.sentSeq, seq);
    let covered = 0;
    while ((cursor.unacked[covered]?.seq ?? Infinity) <= seq) {
      const bytes = cursor.unacked[covered]?.bytes ?? 0;
      cursor.unackedBytes -= bytes;
      cursor.ackedSinceStored += bytes;
      covered += 1;
    }
    cursor.unacked.splice(0, covered);
  }

  async #pump(): Promise<void> {
    await Promise.resolve();
    try {
      // A set gives what is added while it is walked; what is added again comes last.
      for (const invocationId of this.#ready) {
        if (!this.#link.isUp) return;
        this.#ready.delete(invocationId);
        this.#begun.delete(invocationId);
        this.#begunBefore.delete(invocationId);
        const cursor = this.#cursors.get(invocationId);
        if (cursor !== undefined) await this.#sendBatch(invocationId, cursor);
      }
    } finally {
      this.#pumping = false;
    }
  }

  async #sendBatch(invocationId: InvocationId, cursor: Cursor): Promise<void> {
    cursor.isBlocked = cursor.unackedBytes >= windowBytes;
    if (cursor.isBlocked || cursor.sentSeq >= cursor.lastSeq) return;
    const { read } = this.#parts.store;
    const flightId = flightOfInvocation(invocationId);
    const receivedAtMs = (cursor.receivedAtMs ??= receivedAt(read.flight(flightId)));
    if (receivedAtMs === undefined) return;
    const events = read.events(flightId, cursor.sentSeq, batchBytes);
    const last = events.at(-1);
    if (last === undefined) {
      cursor.lastSeq = cursor.sentSeq;
      return;
    }
    if (last.body.kind === 'finished') cursor.endSeq = last.seq;
    const bytes = events.reduce((sum, each) => sum + sizeOf(each), 0);
    cursor.sentSeq = last.seq;
    if (cursor.unacked.length === 0) cursor.movedAtMs = this.#parts.clock.monotonic();
    cursor.unacked.push({ seq: last.seq, bytes });
    cursor.unackedBytes += bytes;
    // Back at the end of the set: others get their turn first.
    this.#ready.add(invocationId);
    await this.#link.sendEvents({ type: 'flight_events', invocationId, receivedAtMs, events });
  }
}

function receivedAt(flight: Flight | undefined): number | undefined {
  return flight?.receivedAtMs ?? flight?.acceptedAtMs;
}

function sizeOf(event: FlightEvent): number {
  return bytesPerEvent + contentBytes(event.body);
}
