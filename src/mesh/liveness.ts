/** Heartbeats, silence, and whether this side could have heard anything. Pure: fed with times of one monotonic clock, ms. */

export const heartbeatEveryMs = 3_000;
/** How often silence is measured. */
export const tickMs = 1_000;
/** A tick this late means that this process, or the machine, stood still: silence then proves nothing. */
const stalledAfterMs = 3_000;
/** After that: what is lost now was lost while nobody looked, and is redialled before anybody is suspected. */
export const graceMs = 8_000;

/** How long nothing was heard of a peer. */
export class Silence {
  #heardMs: number;
  #graceMs: number;

  constructor(nowMs: number) {
    this.#heardMs = nowMs;
    this.#graceMs = nowMs;
  }

  /** When something was heard last. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** Any frame counts. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** Starts the silence anew, without a sign of life: this side could not have heard one. */
  grace(nowMs: number): void {
    this.#graceMs = nowMs;
  }

  lastsMs(nowMs: number): number {
    return Math.max(0, nowMs - Math.max(this.#heardMs, this.#graceMs));
  }
}

export interface Tick {
  /** This side slept or stalled: all peers get time to be heard. */
  readonly isGrace: boolean;
  /** How much later than due, ms. */
  readonly lateMs: number;
}

/** Tells from the times of successive ticks whether this side slept or stalled in between. */
export class StallWatch {
  #lastMs: number;
  #lastWallMs: number;

  constructor(nowMs: number, wallMs: number) {
    this.#lastMs = nowMs;
    this.#lastWallMs = wallMs;
  }

  /** Grace when the tick came late, or the wall clock moved on while the monotonic one stood (sleep, or a clock that was set). */
  tick(nowMs: number, wallMs: number): Tick {
    const passedMs = nowMs - this.#lastMs;
    const wallPassedMs = wallMs - this.#lastWallMs;
    this.#lastMs = nowMs;
    this.#lastWallMs = wallMs;
    const lateMs = Math.max(0, passedMs - tickMs);
    return { isGrace: lateMs > stalledAfterMs || wallPassedMs - passedMs > stalledAfterMs, lateMs };
  }
}

/** Smoothed round trip, RFC 6298 section 2: seven eighths of the past, one eighth of the sample. */
export function smoothRtt(pastMs: number | undefined, sampleMs: number): number {
  return pastMs === undefined ? sampleMs : (7 * pastMs + sampleMs) / 8;
}

/** Whoever connects says hello at once, and a dialler opens its data stream as soon as it is greeted: so long each is waited for. */
const overdueMs = 10_000;

/** What a session that does not come about lacks, by how long it has waited for it; 0 where it does not. */
export function overdue({ openingMs, dataMs }: { readonly openingMs: number; readonly dataMs: number }): 'hello' | 'data' | undefined {
  if (dataMs > overdueMs) return 'data';
  return openingMs > overdueMs ? 'hello' : undefined;
}
