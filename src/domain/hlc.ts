/**
 * A hybrid logical clock, after Kulkarni, Demirbas, Madappa, Avva and Leone, "Logical Physical Clocks and Consistent
 * Snapshots in Globally Distributed Databases" (2014), algorithm of figure 5. It orders merged timelines and nothing
 * else: no decision rests on it.
 */
import { internal, invalid } from './errors.ts';
import { quoted } from './text.ts';

declare const brand: unique symbol;
/** 48-bit milliseconds and a 16-bit counter as `mmmmmmmmmmmm-cccc` in lower-case hex: text order is clock order. */
export type Hlc = string & { readonly [brand]: 'Hlc' };

export interface HlcParts {
  readonly ms: number;
  readonly counter: number;
}

/** A remote clock further ahead than this is never taken over. */
export const maxAheadMs = 5 * 60 * 1000;

const maxMs = 2 ** 48 - 1;
const maxCounter = 2 ** 16 - 1;
const form = /^[0-9a-f]{12}-[0-9a-f]{4}$/;

export function isHlc(value: unknown): value is Hlc {
  return typeof value === 'string' && form.test(value);
}

/** @throws BrokerError `invalid` when a part is not an integer in its range. */
export function encodeHlc({ ms, counter }: HlcParts): Hlc {
  if (!Number.isInteger(ms) || ms < 0 || ms > maxMs) throw invalid(`clock milliseconds out of range: ${ms}`);
  if (!Number.isInteger(counter) || counter < 0 || counter > maxCounter) throw invalid(`clock counter out of range: ${counter}`);
  return `${ms.toString(16).padStart(12, '0')}-${counter.toString(16).padStart(4, '0')}` as Hlc;
}

/** @throws BrokerError `invalid` */
export function decodeHlc(text: string): HlcParts {
  if (!isHlc(text)) throw invalid(`${quoted(text)} is not a clock value: 12 and 4 hex digits with - between`);
  return { ms: Number.parseInt(text.slice(0, 12), 16), counter: Number.parseInt(text.slice(13), 16) };
}

export function compareHlc(a: Hlc, b: Hlc): -1 | 0 | 1 {
  return a < b ? -1 : a > b ? 1 : 0;
}

export interface Observation {
  /** The value of the receiving event. */
  readonly at: Hlc;
  /** True when the remote value was more than `maxAheadMs` ahead: it is then not taken over, and `at` may precede it. */
  readonly refused: boolean;
}

/**
 * Every value is greater than all that this clock gave or took over before, whatever the wall clock does. When the
 * counter is full the milliseconds advance instead, ahead of the wall clock.
 */
export class HybridClock {
  #ms: number;
  #counter: number;

  /** @param last the greatest value known from before a restart */
  constructor(last?: Hlc) {
    const parts = last === undefined ? { ms: 0, counter: 0 } : decodeHlc(last);
    this.#ms = parts.ms;
    this.#counter = parts.counter;
  }

  /** A value for a local or sending event. @param nowMs wall clock, ms since 1970 */
  tick(nowMs: number): Hlc {
    return this.#advance(nowMs, undefined);
  }

  /** A value for the receipt of an event that carries `remote`. @throws BrokerError `invalid` when it is malformed */
  observe(remote: Hlc, nowMs: number): Observation {
    const parts = decodeHlc(remote);
    const refused = parts.ms - nowMs > maxAheadMs;
    return { at: this.#advance(nowMs, refused ? undefined : parts), refused };
  }

  #advance(nowMs: number, remote: HlcParts | undefined): Hlc {
    const now = Math.trunc(nowMs);
    if (!(now >= 0 && now <= maxMs)) throw internal(`the wall clock is out of range: ${nowMs}`);
    const ms = Math.max(this.#ms, now, remote?.ms ?? 0);
    let counter = -1;
    if (ms === this.#ms) counter = this.#counter;
    if (ms === remote?.ms) counter = Math.max(counter, remote.counter);
    const full = counter === maxCounter;
    const next = full ? { ms: ms + 1, counter: 0 } : { ms, counter: counter + 1 };
    const value = encodeHlc(next);
    this.#ms = next.ms;
    this.#counter = next.counter;
    return value;
  }
}
