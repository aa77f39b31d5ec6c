/** What is looked at now and then, one chore after the other, each however the one before went. */
import type { CancelTimer, Clock, Log, Startable } from '../domain/ports.ts';

const everyMs = 10_000;

export interface Chore {
  readonly name: string;
  run(): void | Promise<void>;
}

export interface HousekeepingParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly chores: readonly Chore[];
}

export class Housekeeping implements Startable {
  readonly #parts: HousekeepingParts;
  #cancelTimer: CancelTimer | undefined;
  #working: Promise<void> = Promise.resolve();
  #stopped = true;

  constructor(parts: HousekeepingParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    if (this.#stopped) {
      this.#stopped = false;
      this.#later();
    }
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#working;
  }

  #later(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#parts.clock.setTimer(everyMs, () => {
      this.#working = this.#round().finally(() => this.#later());
    });
  }

  async #round(): Promise<void> {
    for (const chore of this.#parts.chores) {
      try {
        await chore.run();
      } catch (error) {
        this.#parts.log.warn({ chore: chore.name, err: error }, 'a chore failed; it is tried again');
      }
    }
  }
}
