/** Waiting before the next try at a node that is away. */
import { status as grpcStatus } from '@grpc/grpc-js';
import { backoff } from '../domain/backoff.ts';
import { BrokerError } from '../domain/errors.ts';
import type { Clock, Random } from '../domain/ports.ts';
import { isServiceError } from '../rpc/status.ts';

export interface Pacing {
  readonly clock: Clock;
  readonly random: Random;
}

/** A node that is away for longer is given up, ms; what it accepted it has. */
export const patienceMs = 600_000;
/** How long a node that takes nothing more for now is asked again, ms. */
export const usualOverloadMs = 60_000;
/** When, if it does not say when to come back, ms. */
export const usualRetryMs = 1_000;
const waits = { baseMs: 100, capMs: 2_000 };

export class BackingOff {
  readonly #pacing: Pacing;
  #failures = 0;
  #sinceMs: number | undefined;

  constructor(pacing: Pacing) {
    this.#pacing = pacing;
  }

  /** How long nothing has worked, ms. */
  get forMs(): number {
    return this.#sinceMs === undefined ? 0 : this.#pacing.clock.monotonic() - this.#sinceMs;
  }

  worked(): void {
    this.#failures = 0;
    this.#sinceMs = undefined;
  }

  /** As `wait`, for a node that has said when to come back: others were told the same, so some later. */
  async waitFor(ms: number, signal?: AbortSignal): Promise<void> {
    const { clock, random } = this.#pacing;
    this.#sinceMs ??= clock.monotonic();
    await pause(clock, Math.max(1, Math.ceil(ms * (1 + random() / 2))), signal);
  }

  /** Resolves after the wait, or as soon as `signal` aborts. */
  async wait(signal?: AbortSignal): Promise<void> {
    const { clock, random } = this.#pacing;
    this.#sinceMs ??= clock.monotonic();
    const ms = backoff(this.#failures, waits, random());
    this.#failures += 1;
    await pause(clock, ms, signal);
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimer(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** The cause of an error that a node gave with all that it had not taken: asked for again it is the first. */
export const notTaken = 'nothing of it was taken';

/** The node itself is away, as far as can be told from here; what it said by itself is none of these. */
export function isAway(thrown: unknown): thrown is BrokerError {
  return thrown instanceof BrokerError && thrown.code === 'unavailable' && thrown.cause !== undefined;
}

/** It can't have been accepted: the node said so, or nothing was sent, for there was no connection. The words are grpc-js's, of `pick_first`. */
export function isNotTaken({ cause }: BrokerError): boolean {
  return cause === notTaken || (isServiceError(cause) && cause.code === grpcStatus.UNAVAILABLE && cause.details.startsWith('No connection established'));
}

/** It may have been accepted, and may not. */
export function unanswered(lost: BrokerError): BrokerError {
  const hint = 'give a key: then it is asked for again by itself, and accepted once';
  return new BrokerError('unavailable', `${lost.message} before it said whether it had accepted the invocation`, { hint, cause: lost.cause });
}
