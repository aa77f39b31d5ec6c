/**
 * Ends what ran out of time: the queue deadline of what has not started, the total deadline of what has not ended. An
 * origin decides alone only on what it never sent, and writes `indeterminate` when the owner's word is overdue.
 */
import { isTerminal } from '../domain/flight.ts';
import type { CancelTimer, Clock, Log, Startable } from '../domain/ports.ts';
import type { Flight } from '../domain/records.ts';
import type { Store } from '../domain/store-port.ts';
import type { Chronicler } from './chronicler.ts';
import type { Feed } from './feed.ts';
import { expiredError } from './verdicts.ts';
import type { Runner } from './runner.ts';
import type { Self } from './self.ts';

/** The owner's own verdict at the same deadline may still be on its way. */
export const originGraceMs = 30_000;
/** Wall clocks jump and machines sleep: look at least this often. */
const longestWaitMs = 30_000;
const shortestWaitMs = 250;
const batch = 256;

export interface DeadlinesParts {
  readonly store: Store;
  readonly self: Self;
  readonly runner: Runner;
  readonly chronicler: Chronicler;
  readonly feed: Feed;
  readonly clock: Clock;
  readonly log: Log;
}

export class Deadlines implements Startable {
  readonly #parts: DeadlinesParts;
  #cancelTimer: CancelTimer | undefined;
  #wakesAtMs = Infinity;
  #working: Promise<void> = Promise.resolve();
  #stopped = true;

  constructor(parts: DeadlinesParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    this.#stopped = false;
    this.#arm(0);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#working;
  }

  /** A flight with these deadlines exists now. */
  added(flight: Flight): void {
    const atMs = Math.min(flight.holdUntilMs, flight.totalUntilMs);
    if (atMs < this.#wakesAtMs) this.#arm(atMs - this.#parts.clock.now());
  }

  #arm(waitMs: number): void {
    if (this.#stopped) return;
    this.#cancelTimer?.();
    const boundedMs = Math.min(Math.max(waitMs, shortestWaitMs), longestWaitMs);
    this.#wakesAtMs = this.#parts.clock.now() + boundedMs;
    this.#cancelTimer = this.#parts.clock.setTimer(boundedMs, () => {
      this.#working = this.#look().catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'deadlines could not be enforced; trying again');
        this.#arm(longestWaitMs);
      });
    });
  }

  async #look(): Promise<void> {
    const { store, clock } = this.#parts;
    const due = store.read.due(clock.now(), batch);
    // All at once: an agent that takes its time to end puts off nobody else's deadline.
    const outcomes = await Promise.allSettled(
      due.map(async ({ flightId, which }) => {
        const flight = store.read.flight(flightId);
        if (flight !== undefined && !isTerminal(flight.state)) await this.#enforce(flight, which);
      }),
    );
    const failed = outcomes.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const nextMs = store.read.nextDeadlineMs(clock.now());
    this.#arm(due.length === batch ? 0 : nextMs === undefined ? longestWaitMs : nextMs - clock.now());
  }

  async #enforce(flight: Flight, which: 'hold' | 'total'): Promise<void> {
    const { runner, self } = this.#parts;
    if (flight.ownerNodeId === self.nodeId) {
      if (which === 'total') await runner.end(flight.id, 'total deadline');
      else await runner.settleQueued(flight.id, { state: 'expired', error: expiredError() });
      return;
    }
    const expired = await this.#endAtOrigin(flight, true);
    if (expired || which === 'hold' || this.#parts.clock.now() < flight.totalUntilMs + originGraceMs) return;
    await this.#endAtOrigin(flight, false);
  }

  async #endAtOrigin(flight: Flight, unlessSent: boolean): Promise<boolean> {
    const ended = await this.#parts.store.write.endAtOrigin({
      stamp: this.#parts.chronicler.stamp(),
      flightId: flight.id,
      outcome: unlessSent
        ? { state: 'expired', error: expiredError() }
        : { state: 'indeterminate', error: { code: 'deadline', message: 'its total deadline passed without word from its owner', hint: 'it may have run: look on the owner' } },
      delivery: { status: 'dead', reason: 'timeout' },
      unlessSent,
    });
    if (ended !== undefined) this.#parts.feed.changed(flight.id);
    return ended !== undefined;
  }
}
