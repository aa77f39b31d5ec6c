/**
 * From silence to suspicion to `unreachable`. Pure arithmetic after hashicorp/memberlist `suspicion.go` (Lifeguard,
 * section IV-B): the more members confirm that they do not hear a peer either, the sooner it is given up.
 */

/** Three heartbeats missed. A node that does not trust its own hearing waits up to half as long again. */
export const suspectAfterMs = 9_000;

/**
 * How long a suspect has: `minMs` once all that were asked have confirmed, `maxMs` while nobody has, or somebody reaches
 * it. With silence, the worst stretch and two ticks: 13.5 + 9 + 2 = 24.5 s, below the 30 s that are promised.
 */
export const suspicionBounds = { minMs: 3_000, maxMs: 9_000 } as const;

/** Members asked about one suspect at a time. */
export const witnessesAsked = 3;

/** Asked again after 5, 10, 20, 40 s, then every minute, each somewhat sooner or later. */
const roundBaseMs = 5_000;
const roundCapMs = 60_000;

/**
 * `max - log(confirmed + 1) / log(asked + 1) × (max - min)`, whole ms. Nobody to ask: the longest.
 * @param asked how many could confirm
 */
export function suspicionMs(confirmed: number, asked: number, { minMs, maxMs }: { readonly minMs: number; readonly maxMs: number } = suspicionBounds): number {
  if (asked < 1) return maxMs;
  const share = Math.log(confirmed + 1) / Math.log(asked + 1);
  return Math.max(minMs, Math.floor(maxMs - share * (maxMs - minMs)));
}

/** @param round rounds so far, at least one. @param random01 uniform in [0, 1) */
export function nextRoundInMs(round: number, random01: number): number {
  const ms = Math.min(roundCapMs, roundBaseMs * 2 ** (round - 1));
  return Math.round(ms * (0.75 + random01 / 2));
}
