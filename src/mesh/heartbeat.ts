/** Heartbeats of one session: when the next is due, the round trip, and whether the peer is there when somebody asks. */
import { Allowance } from '../domain/allowance.ts';
import { invalid, overload } from '../domain/errors.ts';
import type { LinkDigest } from '../domain/mesh-port.ts';
import type { Clock } from '../domain/ports.ts';
import type * as wire from '../gen/beckon/v1/mesh.ts';
import { heartbeatEveryMs, smoothRtt, tickMs } from './liveness.ts';

const digestBytes = 8;
/** Of one peer: one every 3 s, and one for each node that asks it at once whether it hears this one. */
export const heartbeatRate = { perSecond: 50, burst: 500 } as const;

export function encodeHeartbeat(number: number, { root, gossips }: LinkDigest): Omit<wire.Heartbeat, 'holds'> {
  return { number, digest: Buffer.from(root, 'hex'), gossips };
}

/** @throws BrokerError `invalid` */
export function decodeDigest({ digest, gossips }: wire.Heartbeat): LinkDigest {
  if (digest.length !== 0 && digest.length !== digestBytes) throw invalid(`heartbeat.digest: ${digest.length} bytes, not ${digestBytes}`);
  return { root: digest.toString('hex'), gossips };
}

export class Heartbeat {
  /** Smoothed; undefined until the first answer. */
  rttMs: number | undefined;
  readonly #clock: Clock;
  readonly #send: (number: number) => void;
  readonly #probes = new Set<(isHeard: boolean) => void>();
  #number = 0;
  #sentAtMs = 0;
  #isAnswered = true;
  readonly #allowance: Allowance;

  constructor(clock: Clock, send: (number: number) => void) {
    this.#clock = clock;
    this.#send = send;
    this.#allowance = new Allowance(heartbeatRate, clock.monotonic());
  }

  get isDue(): boolean {
    // The tick nearest to it: a timer may come a moment early, and the next tick is a whole second away.
    return this.#clock.monotonic() - this.#sentAtMs > heartbeatEveryMs - tickMs / 2;
  }

  beat(): void {
    this.#number += 1;
    this.#sentAtMs = this.#clock.monotonic();
    this.#isAnswered = false;
    this.#send(this.#number);
  }

  /** What to answer to one of the peer's. @throws BrokerError `overload` for more than anybody needs */
  asked(number: number): { readonly number: number } {
    if (this.#allowance.charge(1, this.#clock.monotonic()) > 0) throw overload(`more than ${heartbeatRate.perSecond} heartbeats a second`, 1_000);
    return { number };
  }

  /** Late answers to older ones are no measure. */
  answered(number: number): void {
    if (number !== this.#number || this.#isAnswered) return;
    this.#isAnswered = true;
    this.rttMs = smoothRtt(this.rttMs, this.#clock.monotonic() - this.#sentAtMs);
  }

  /** Resolves with whether anything is heard from now on, within that time. Never rejects. */
  probe(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (isHeard: boolean): void => {
        cancelTimer();
        this.#probes.delete(done);
        resolve(isHeard);
      };
      const cancelTimer = this.#clock.setTimer(timeoutMs, () => done(false));
      this.#probes.add(done);
      this.beat();
    });
  }

  /** Any frame came. */
  heard(): void {
    for (const done of this.#probes) done(true);
  }

  close(): void {
    for (const done of this.#probes) done(false);
  }
}
