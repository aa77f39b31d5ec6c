/** Those who wait for a link with a node, each for its time. */
import type { NodeId } from '../domain/ids.ts';
import type { CancelTimer, Clock } from '../domain/ports.ts';

export class LinkWaiters {
  readonly #clock: Clock;
  readonly #waiting = new Map<() => void, NodeId>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when the node is linked, when the time is over, or when `isVain` says after `tried` that there is nothing to wait for. */
  wait(nodeId: NodeId, timeoutMs: number, tried: Promise<unknown>, isVain: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancelTimer();
        this.#waiting.delete(done);
        resolve();
      };
      const cancelTimer: CancelTimer = this.#clock.setTimer(timeoutMs, done);
      this.#waiting.set(done, nodeId);
      void tried.then(() => isVain() && done());
    });
  }

  linked(nodeId: NodeId): void {
    for (const [done, awaited] of this.#waiting) if (awaited === nodeId) done();
  }
}
