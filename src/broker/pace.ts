/** How fast each agent gets through its work, as far as it was seen, for whoever is told to come back later. */
import type { Clock } from '../domain/ports.ts';

/** When nothing is known of an agent. */
const usualMs = 5_000;
/** Sooner than that nobody is asked back, later neither. */
const bounds = { leastMs: 500, mostMs: 60_000 };
/** Places that are free again by then: one alone would be gone at once. */
const places = 10;
/** Weight of the newest gap between two ends in their moving average. */
const weight = 0.2;
/** The agent that was heard of longest ago is forgotten. */
const mostAgents = 1_000;

interface Seen {
  readonly atMs: number;
  readonly gapMs: number | undefined;
}

export class Pace {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #seen = new Map<string, Seen>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** A run of the agent is over. */
  ended(agent: string): void {
    const atMs = this.#clock.monotonic();
    const before = this.#seen.get(agent);
    const gapMs = before === undefined ? undefined : atMs - before.atMs;
    const mean = gapMs === undefined || before?.gapMs === undefined ? gapMs : before.gapMs + weight * (gapMs - before.gapMs);
    this.#seen.delete(agent);
    this.#seen.set(agent, { atMs, gapMs: mean });
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > mostAgents && oldest !== undefined) this.#seen.delete(oldest);
  }

  /** When it is worth asking a full agent again, ms. */
  retryAfterMs(agent: string): number {
    const seen = this.#seen.get(agent);
    if (seen === undefined) return usualMs;
    // A run that takes long shows before it ends.
    const gapMs = Math.max(seen.gapMs ?? usualMs / places, this.#clock.monotonic() - seen.atMs);
    return Math.round(Math.min(bounds.mostMs, Math.max(bounds.leastMs, places * gapMs)));
  }
}
