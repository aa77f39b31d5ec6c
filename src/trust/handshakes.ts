/**
 * TLS handshakes under way, and begun of late: so many at once and so many a second, all together and from one address.
 * What one address may not have does not use up what all others may: a stranger who opens connections as fast as it can
 * keeps itself out, and nobody else.
 */
import type { LimitName } from '../domain/limits.ts';
import { networkOf, RateLimit, type Rate } from './rate-limit.ts';

export interface HandshakeLimits {
  readonly atOnce: number;
  readonly atOncePerAddress: number;
  readonly rates: { readonly overall: Rate; readonly perAddress: Rate };
}

/**
 * A handshake takes 1 to 3 ms of a processor. An honest node dials another a few times a minute, a hundred nodes that come back at once
 * (one machine of them, say, in tests) a hundred times in a second, and again some seconds later.
 */
export const defaultHandshakeLimits: HandshakeLimits = {
  atOnce: 256,
  atOncePerAddress: 64,
  rates: { overall: { burst: 600, perMinute: 60 * 100 }, perAddress: { burst: 300, perMinute: 60 * 30 } },
};

const mostAddresses = 4096;

/** Why a connection is refused. */
export interface OverHandshakes {
  readonly limit: LimitName;
  readonly why: string;
}

export class Handshakes {
  readonly #limits: HandshakeLimits;
  readonly #rates: RateLimit;
  /** Under way, by network. */
  readonly #byAddress = new Map<string, number>();
  #underWay = 0;

  constructor(limits: HandshakeLimits, now: () => number) {
    this.#limits = limits;
    this.#rates = new RateLimit({ ...limits.rates, mostAddresses }, now);
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Undefined counts it, until `ended`. @param address undefined: one that many come from, so that only what all may counts */
  begin(address: string | undefined): OverHandshakes | undefined {
    const { atOnce, atOncePerAddress } = this.#limits;
    const key = address === undefined ? undefined : networkOf(address);
    const own = key === undefined ? 0 : (this.#byAddress.get(key) ?? 0);
    if (own >= atOncePerAddress) return { limit: 'handshakes_address', why: 'too many handshakes at once from its address' };
    if (this.#underWay >= atOnce) return { limit: 'handshakes', why: 'too many handshakes at once' };
    const over = this.#rates.over(address);
    if (over === 'address') return { limit: 'handshake_rate_address', why: 'too many connections a second from its address' };
    if (over === 'overall') return { limit: 'handshake_rate', why: 'too many connections a second' };
    this.#underWay += 1;
    if (key !== undefined) this.#byAddress.set(key, own + 1);
    return undefined;
  }

  /** Once for each that `begin` counted, with the same address. */
  ended(address: string | undefined): void {
    this.#underWay -= 1;
    if (address === undefined) return;
    const key = networkOf(address);
    const left = (this.#byAddress.get(key) ?? 0) - 1;
    if (left > 0) this.#byAddress.set(key, left);
    else this.#byAddress.delete(key);
  }
}
