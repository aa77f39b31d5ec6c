/**
 * Token buckets for strangers: one a remote address and one for all of them. A bucket holds `burst` tokens and gains
 * `perMinute` a minute; a request takes one from both. Memory is bounded: beyond `mostAddresses` the address that was
 * seen longest ago is forgotten, which costs nothing, since the bucket for all still holds.
 */
export interface Rate {
  readonly burst: number;
  readonly perMinute: number;
}

export interface RateLimits {
  readonly perAddress: Rate;
  readonly overall: Rate;
  readonly mostAddresses: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

export class RateLimit {
  readonly #limits: RateLimits;
  readonly #now: () => number;
  readonly #overall: Bucket;
  /** In order of last use. */
  readonly #byAddress = new Map<string, Bucket>();

  constructor(limits: RateLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#overall = { tokens: limits.overall.burst, atMs: now() };
  }

  /** True when this request is within the limits; then it has been counted. */
  take(remoteAddress: string): boolean {
    const nowMs = this.#now();
    const { perAddress, overall, mostAddresses } = this.#limits;
    const key = networkOf(remoteAddress);
    const mine = this.#byAddress.get(key) ?? { tokens: perAddress.burst, atMs: nowMs };
    this.#byAddress.delete(key);
    this.#byAddress.set(key, mine);
    if (this.#byAddress.size > mostAddresses) {
      const [oldest] = this.#byAddress.keys();
      if (oldest !== undefined) this.#byAddress.delete(oldest);
    }
    refill(mine, perAddress, nowMs);
    refill(this.#overall, overall, nowMs);
    // What one address may not have must not use up what all others may.
    if (mine.tokens < 1 || this.#overall.tokens < 1) return false;
    mine.tokens -= 1;
    this.#overall.tokens -= 1;
    return true;
  }
}

function refill(bucket: Bucket, rate: Rate, nowMs: number): void {
  // A clock that was set back gives nothing, and takes nothing away.
  const gained = (Math.max(0, nowMs - bucket.atMs) / 60_000) * rate.perMinute;
  bucket.tokens = Math.min(rate.burst, bucket.tokens + gained);
  bucket.atMs = nowMs;
}

/** IPv4 addresses count one by one, IPv6 by /64: that many a single machine has. */
export function networkOf(remoteAddress: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(remoteAddress);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!remoteAddress.includes(':')) return remoteAddress;
  const [head = '', tail] = remoteAddress.replace(/%.*$/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const after = tail === '' ? [] : tail.split(':');
    while (groups.length + after.length < 8) groups.push('0');
    groups.push(...after);
  }
  return `${groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}
