/** Whether a session is alive, by its silence. Pure: the session feeds it times of one monotonic clock, ms. */

export const heartbeatEveryMs = 3_000;
/** Three heartbeats missed. */
export const suspectAfterMs = 9_000;
/** Closed and redialled. With the tick it is below 20 s. */
export const deadAfterMs = 18_000;
/** How often silence is measured. */
export const tickMs = 1_000;
/** A tick this late means that this process, or the machine, stood still: silence then proves nothing. */
const stalledAfterMs = 3_000;

export class Liveness {
  #heardAtMs: number;

  constructor(nowMs: number) {
    this.#heardAtMs = nowMs;
  }

  /** Any frame counts. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  /** Starts the silence anew, without a sign of life: this side could not have heard one. */
  grace(nowMs: number): void {
    this.#heardAtMs = nowMs;
  }

  at(nowMs: number): 'alive' | 'suspect' | 'dead' {
    const silentMs = nowMs - this.#heardAtMs;
    if (silentMs >= deadAfterMs) return 'dead';
    return silentMs >= suspectAfterMs ? 'suspect' : 'alive';
  }
}

/** Tells from the times of successive ticks whether this side slept or stalled in between. */
export class StallWatch {
  #lastMs: number;
  #lastWallMs: number;

  constructor(nowMs: number, wallMs: number) {
    this.#lastMs = nowMs;
    this.#lastWallMs = wallMs;
  }

  /** True when the tick came late, or the wall clock moved on while the monotonic one stood (sleep). */
  tick(nowMs: number, wallMs: number): boolean {
    const passedMs = nowMs - this.#lastMs;
    const wallPassedMs = wallMs - this.#lastWallMs;
    this.#lastMs = nowMs;
    this.#lastWallMs = wallMs;
    return passedMs - tickMs > stalledAfterMs || wallPassedMs - passedMs > stalledAfterMs;
  }
}

/** Smoothed round trip, RFC 6298 section 2: seven eighths of the past, one eighth of the sample. */
export function smoothRtt(pastMs: number | undefined, sampleMs: number): number {
  return pastMs === undefined ? sampleMs : (7 * pastMs + sampleMs) / 8;
}
