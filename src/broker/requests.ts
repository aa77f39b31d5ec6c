/**
 * What one running agent asks of its people: one request at a time, in order, each durable before anyone is told. The
 * answer that counts is the one that the store took first: a person's, or the end of the time. Nothing of it outlives
 * the run.
 */
import { requestIdOf } from '../domain/ids.ts';
import type { FlightId } from '../domain/ids.ts';
import type { CancelTimer, Clock, Log, UlidSource } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import { trimmed } from '../domain/request.ts';
import type { Answer, Ask } from '../domain/request.ts';
import type { StoreWrites } from '../domain/store-port.ts';
import type { Wishes } from '../domain/wishes.ts';
import type { Chronicler } from './chronicler.ts';

const storeRetryMs = 2000;

export interface RunRequestsParts {
  readonly write: Pick<StoreWrites, 'ask' | 'timeOutRequest'>;
  readonly chronicler: Chronicler;
  readonly clock: Clock;
  readonly ulids: UlidSource;
  readonly log: Log;
  /** How long a request waits unless its agent says otherwise. */
  readonly wishes?: Wishes | undefined;
  /** Resolves when all that the agent has output is durable. Rejects when the store fails. */
  readonly flush: () => Promise<void>;
  readonly onChanged: (flight: Flight) => void;
  readonly onWaiting: (isWaiting: boolean) => void;
}

interface Open {
  readonly request: string;
  readonly settle: (answer: Answer) => void;
}

/** Put to people by a run that outlived its node, and not claimed by it again so far. */
interface Left {
  readonly ask: Required<Ask>;
  readonly answer: Promise<Answer>;
}

export class RunRequests {
  readonly #flightId: FlightId;
  readonly #parts: RunRequestsParts;
  #last: Promise<unknown> = Promise.resolve();
  #open: Open | undefined;
  #left: Left | undefined;
  #isClosed = false;

  constructor(flightId: FlightId, parts: RunRequestsParts) {
    this.#flightId = flightId;
    this.#parts = parts;
  }

  /** Resolves with the answer, in the order of the calls. Never rejects. */
  ask(ask: Ask): Promise<Answer> {
    const bounded = trimmed(ask, this.#parts.wishes?.requestMs);
    const left = this.#left;
    // Word for word the same question: what is said to the one is said to the other.
    if (left !== undefined && isSameAsk(left.ask, bounded)) {
      this.#left = undefined;
      return left.answer;
    }
    const answer = this.#last.then(() => this.#put(bounded));
    this.#last = answer;
    return answer;
  }

  /** The flight waited when its node died, and its run goes on: the request stands until its time is over. */
  restore({ request, untilMs, ...rest }: NonNullable<Flight['waiting']>): void {
    const { clock } = this.#parts;
    const settled = Promise.withResolvers<Answer>();
    this.#open = { request, settle: settled.resolve };
    this.#parts.onWaiting(true);
    const timeoutMs = Math.max(0, (untilMs ?? clock.now()) - clock.now());
    const cancelTimer = clock.setTimer(timeoutMs, () => void this.#timeOut(request));
    const answer = settled.promise.finally(() => {
      cancelTimer();
      this.#open = undefined;
      this.#parts.onWaiting(false);
    });
    this.#left = { ask: trimmed({ ...rest, timeoutMs }), answer };
    this.#last = answer;
  }

  /** The store has taken this answer. */
  answered(request: string, answer: Answer): void {
    if (this.#open?.request === request) this.#open.settle(answer);
  }

  /** The run is being ended: what is open or stands behind it is told so. */
  close(): void {
    this.#isClosed = true;
    this.#open?.settle({ kind: 'ended' });
  }

  async #put({ timeoutMs, ...ask }: Required<Ask>): Promise<Answer> {
    if (this.#isClosed) return { kind: 'ended' };
    const { write, chronicler, clock, ulids, log } = this.#parts;
    const request = requestIdOf(ulids.next());
    // Open before it is stored: a reply may come as soon as it can be seen.
    const settled = Promise.withResolvers<Answer>();
    this.#open = { request, settle: settled.resolve };
    let cancelTimer: CancelTimer | undefined;
    try {
      await this.#parts.flush();
      const untilMs = clock.now() + timeoutMs;
      const asked = await write.ask({ stamp: chronicler.stamp(), flightId: this.#flightId, request, ask, untilMs });
      if (asked === undefined) return { kind: 'ended' };
      this.#parts.onWaiting(true);
      this.#parts.onChanged(asked.flight);
      cancelTimer = clock.setTimer(timeoutMs, () => void this.#timeOut(request));
      return await settled.promise;
    } catch (error) {
      log.error({ flightId: this.#flightId, err: error }, 'a request of an agent could not be stored: denied');
      return { kind: 'timeout' };
    } finally {
      cancelTimer?.();
      this.#open = undefined;
      this.#parts.onWaiting(false);
    }
  }

  /** An answer that is being stored at the same moment may come first; then this finds nothing to do. */
  async #timeOut(request: string): Promise<void> {
    if (this.#isClosed || this.#open?.request !== request) return;
    const { write, chronicler, clock, log } = this.#parts;
    try {
      const ended = await write.timeOutRequest({ stamp: chronicler.stamp(), flightId: this.#flightId, request });
      if (ended === undefined) return;
      this.#parts.onChanged(ended.flight);
      this.answered(request, { kind: 'timeout' });
    } catch (error) {
      log.error({ flightId: this.#flightId, err: error }, 'the end of a request could not be stored; trying again');
      clock.setTimer(storeRetryMs, () => void this.#timeOut(request));
    }
  }
}

/** However long it may take. */
function isSameAsk(a: Ask, b: Ask): boolean {
  return a.reason === b.reason && a.prompt === b.prompt && a.choices.length === b.choices.length && a.choices.every((choice, at) => choice === b.choices[at]);
}
