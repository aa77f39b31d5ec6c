/** When a certificate is renewed: what the node that has it does about it, and what an issuer makes of that. Pure. */
import { backoff } from './backoff.ts';

export interface Life {
  /** From when to when it is in force, wall clock, ms. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** So long after its end a certificate still proves, with the key, who is to get another. */
export const renewableAfterEndMs = 90 * dayMs;
/** Clocks further apart than this, and one of the two is wrong: what the issuer's would sign now others might not believe. */
export const mostSkewMs = 12 * hourMs;

/**
 * At two thirds of its life; up to a thirtieth of it later, so that machines which entered on one day do not all ask at once.
 * @param spread in [0, 1), kept for as long as the certificate is
 */
export function renewalDueMs({ notBeforeMs, notAfterMs }: Life, spread: number): number {
  const lifeMs = notAfterMs - notBeforeMs;
  return Math.ceil(notAfterMs - lifeMs / 3 + (lifeMs / 30) * spread);
}

/** A certificate that is not in force yet was made by a clock that was wrong, or this one is. */
export function isInForce({ notBeforeMs, notAfterMs }: Life, nowMs: number): boolean {
  return nowMs >= notBeforeMs && nowMs <= notAfterMs;
}

/** How long to wait after so many failures: an issuer may be away for months, and everybody waits for it. @param leftMs until its end, negative after it */
export function renewalRetryMs(failures: number, leftMs: number, random01: number): number {
  const capMs = leftMs <= 0 ? minuteMs : leftMs < 7 * dayMs ? 10 * minuteMs : hourMs;
  return backoff(failures - 1, { baseMs: minuteMs / 2, capMs }, random01);
}

/** What an issuer says to one that shows this. `early`: it has no need of another for long, so that its clock is wrong or it asks for fun. */
export function judgeRenewal({ notBeforeMs, notAfterMs }: Life, nowMs: number): 'sign' | 'early' | 'late' {
  if (nowMs > notAfterMs + renewableAfterEndMs) return 'late';
  return nowMs < notAfterMs - (notAfterMs - notBeforeMs) / 2 ? 'early' : 'sign';
}
