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
    return this.over(remoteAddress) === undefined;
  }

  /** Whose limit it is over; undefined when it is within both, and has been counted. @param remoteAddress undefined: only what all may counts */
  over(remoteAddress: string | undefined): 'address' | 'overall' | undefined {
    const nowMs = this.#now();
    refill(this.#overall, this.#limits.overall, nowMs);
    const mine = remoteAddress === undefined ? undefined : this.#bucketOf(remoteAddress, nowMs);
    // What one address may not have must not use up what all others may.
    if (mine !== undefined && mine.tokens < 1) return 'address';
    if (this.#overall.tokens < 1) return 'overall';
    if (mine !== undefined) mine.tokens -= 1;
    this.#overall.tokens -= 1;
    return undefined;
  }

  #bucketOf(remoteAddress: string, nowMs: number): Bucket {
    const { perAddress, mostAddresses } = this.#limits;
    const key = networkOf(remoteAddress);
    const mine = this.#byAddress.get(key) ?? { tokens: perAddress.burst, atMs: nowMs };
    this.#byAddress.delete(key);
    this.#byAddress.set(key, mine);
    if (this.#byAddress.size > mostAddresses) {
      const [oldest] = this.#byAddress.keys();
      if (oldest !== undefined) this.#byAddress.delete(oldest);
    }
    refill(mine, perAddress, nowMs);
    return mine;
  }
}

function refill(bucket: Bucket, rate: Rate, nowMs: number): void {
  // A clock that was set back gives nothing, and takes nothing away.
  const gained = (Math.max(0, nowMs - bucket.atMs) / 60_000) * rate.perMinute;
  bucket.tokens = Math.min(rate.burst, bucket.tokens + gained);
  bucket.atMs = nowMs;
}

/** Where Tailscale gives each machine of a tailnet one address: they all share one /64, or a few. */
const tailnetPrefix = ['fd7a', '115c', 'a1e0'];

/** IPv4 addresses count one by one, IPv6 by /64, which is what a single machine has, but in a tailnet, where it has one of them. */
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
  const plain = groups.map((group) => Number.parseInt(group, 16).toString(16));
  if (tailnetPrefix.every((group, index) => plain[index] === group)) return plain.join(':');
  return `${plain.slice(0, 4).join(':')}::/64`;
}
