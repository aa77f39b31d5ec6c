/**
 * How much waits here for each other node: kept by the writer, so that a flood is refused at the cost of a look into memory.
 * What leaves is not followed: the count is never too low by more than a link has on its way, and made anew when it is full.
 */
import { overload } from '../domain/errors.ts';
import type { BrokerError } from '../domain/errors.ts';
import type { Connection } from './connection.ts';

interface Held {
  count: number;
  readonly countedAtMs: number;
  /** As far as it was counted. */
  readonly limit: number;
}

/** No more often: it reads an index as far as the limit. */
const recountMs = 1_000;
/** By then the link has taken some of it. */
const retryAfterMs = 5_000;
/** Nobody knows when that node comes back. */
const retryAwayMs = 60_000;

export class HeldCounts {
  readonly #held = new Map<number, Held>();
  readonly #count;

  constructor(db: Connection) {
    this.#count = db.prepare<[number, number], { count: number }>("SELECT count(*) AS count FROM (SELECT 1 FROM deliveries WHERE to_node = ? AND status = 'deferred' LIMIT ?)");
  }

  /** Why one more finds no place: `overload`. @param to the number of the node that it waits for; `target` is said */
  refusal(to: number, { target, limit, atMs, isAway }: { readonly target: string; readonly limit: number; readonly atMs: number; readonly isAway: boolean }): BrokerError | undefined {
    let held = this.#held.get(to);
    if (held === undefined || held.limit !== limit || (held.count >= limit && Math.abs(atMs - held.countedAtMs) >= recountMs)) {
      held = { count: this.#count.get(to, limit)?.count ?? 0, countedAtMs: atMs, limit };
      this.#held.set(to, held);
    }
    if (held.count < limit) return undefined;
    return overload(`${limit} invocations wait here for the node of ${target} already`, isAway ? retryAwayMs : retryAfterMs);
  }

  added(to: number): void {
    const held = this.#held.get(to);
    if (held !== undefined) held.count += 1;
  }
}
