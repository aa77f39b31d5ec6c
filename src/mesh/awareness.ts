/**
 * How far this node may trust its own hearing: "local health awareness" of Dadgar, Phillips and Currey, "Lifeguard:
 * SWIM-ing with Situational Awareness" (2017), as in hashicorp/memberlist `awareness.go`. A node whose own ticks come
 * late, or that hears nobody at all, is slower to suspect others.
 */

/** The worst score. */
const worst = 4;
/** A tick later than this is a sign of a node that is too busy to hear. */
const lateAfterMs = 500;
/** So many ticks on time make the score better by one. */
const recoverAfter = 5;
/** The worst score makes waits half as long again. */
const stretch = 0.5;

export class Awareness {
  #score = 0;
  #onTime = 0;

  get score(): number {
    return this.#score;
  }

  /** @param isDeaf nothing was heard of any peer lately, of two or more */
  tick(lateMs: number, isDeaf: boolean): void {
    if (lateMs > lateAfterMs || isDeaf) {
      this.#onTime = 0;
      this.#score = Math.min(worst, this.#score + 1);
      return;
    }
    this.#onTime += 1;
    if (this.#onTime < recoverAfter) return;
    this.#onTime = 0;
    this.#score = Math.max(0, this.#score - 1);
  }

  /** `ms × (1 + score / 4 × 0.5)`: between once and one and a half times as long. */
  scale(ms: number): number {
    return Math.round(ms * (1 + (this.#score / worst) * stretch));
  }
}
