/**
 * Whose turn it is at an agent: what waits for it, oldest first, past callers of whom it can't be said yet what they may.
 * Such a caller is put off, and not each of its flights: one verdict holds for all that it has queued there. So a look at a
 * queue costs what begins and a step a caller, however much is put off.
 */
import type { FlightId, SessionId } from '../domain/ids.ts';
import type { Flight } from '../domain/records.ts';
import type { QueuedCaller, Store } from '../domain/store-port.ts';

/** Callers that are put off in one look. */
const mostAtOnce = 64;
/** Of callers that are put off, one flight of each, until it is worth to ask who else there is. */
const mostPassed = 16;

export interface TurnsParts {
  readonly store: Pick<Store, 'read'>;
  /** What the caller of that flight may can't be said yet. The same for all that it has queued for the agent. */
  readonly isUnknown: (flight: Flight) => boolean;
  /** So many callers were put off that something else gets its turn before the agent is looked at again. */
  readonly onMore: (address: string) => void;
}

export interface Look {
  /** Read at a time. */
  readonly pageSize: number;
  /** Nothing begins in these sessions. More may be added while the look lasts. */
  readonly busy: readonly SessionId[];
  /** At work, though the store may not have it so yet. */
  readonly isFlying: (flightId: FlightId) => boolean;
}

interface Walk {
  readonly caller: QueuedCaller;
  head: FlightId;
}

export class Turns {
  readonly #parts: TurnsParts;
  /** Callers by agent. */
  readonly #putOff = new Map<string, Set<string>>();

  constructor(parts: TurnsParts) {
    this.#parts = parts;
  }

  /** What callers may can be another than it was: they are judged anew. */
  judgeAnew(): void {
    this.#putOff.clear();
  }

  /** What may begin at that agent, in order. To be read in one go: the store is not looked at again for what came since. */
  *of(address: string, look: Look): Generator<Flight> {
    const putOff = this.#putOff.get(address) ?? new Set<string>();
    const most = putOff.size + mostAtOnce;
    const passed = new Set<string>();
    let left: FlightId | undefined;
    for (const id of this.#inOrder(address, look)) {
      const flight = this.#waiting(id, look);
      if (flight === undefined) continue;
      if (!this.#isPutOff(flight, putOff)) {
        yield flight;
        continue;
      }
      this.#putOff.set(address, putOff);
      if (passed.has(keyOf(flight)) || passed.size === mostPassed) {
        left = id;
        break;
      }
      passed.add(keyOf(flight));
    }
    if (left === undefined) return;
    // There may be thousands, one after the other: from here on by caller.
    const walks = this.#walks(address, look, left, putOff);
    for (let next = oldestOf(walks); next !== undefined; next = oldestOf(walks)) {
      if (putOff.size >= most) return this.#parts.onMore(address);
      const flight = this.#waiting(next.head, look);
      const isPutOff = flight !== undefined && this.#isPutOff(flight, putOff);
      if (flight !== undefined && !isPutOff) yield flight;
      const head = isPutOff ? undefined : this.#next(address, look, next.head, next.caller);
      if (head === undefined) walks.delete(next);
      else next.head = head;
    }
  }

  *#inOrder(address: string, { pageSize, busy }: Look): Generator<FlightId> {
    const { read } = this.#parts.store;
    let page: readonly FlightId[] = [];
    do {
      page = read.queued(address, pageSize, { busy, after: page.at(-1) });
      yield* page;
    } while (page.length === pageSize);
  }

  /** Each caller that is not put off, and its oldest after the given one. */
  #walks(address: string, look: Look, after: FlightId, putOff: ReadonlySet<string>): Set<Walk> {
    const walks = new Set<Walk>();
    for (const caller of this.#parts.store.read.queuedCallers(address)) {
      const head = putOff.has(keyOf(caller)) ? undefined : this.#next(address, look, after, caller);
      if (head !== undefined) walks.add({ caller, head });
    }
    return walks;
  }

  #next(address: string, { busy }: Look, after: FlightId, caller: QueuedCaller): FlightId | undefined {
    return this.#parts.store.read.queued(address, 1, { busy, after, caller })[0];
  }

  /** Unless it is at work, or over, or its session has become busy since the page was read. */
  #waiting(id: FlightId, { busy, isFlying }: Look): Flight | undefined {
    const flight = isFlying(id) ? undefined : this.#parts.store.read.flight(id);
    return flight?.state !== 'queued' || (flight.sessionId !== undefined && busy.includes(flight.sessionId)) ? undefined : flight;
  }

  #isPutOff(flight: Flight, putOff: Set<string>): boolean {
    const key = keyOf(flight);
    if (!putOff.has(key) && this.#parts.isUnknown(flight)) putOff.add(key);
    return putOff.has(key);
  }
}

function keyOf({ originNodeId, originOwner = '' }: QueuedCaller): string {
  return `${originNodeId} ${originOwner}`;
}

function oldestOf(walks: Iterable<Walk>): Walk | undefined {
  let oldest: Walk | undefined;
  for (const walk of walks) if (oldest === undefined || walk.head < oldest.head) oldest = walk;
  return oldest;
}
