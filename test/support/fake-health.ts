/** A health that is what a test says. */
import type { Health, HealthSubject } from '../../src/domain/health-port.ts';

export class FakeHealth implements Health {
  #why: Partial<Record<HealthSubject, string>> = {};
  readonly #changes = new EventTarget();
  /** How many watch now. */
  watching = 0;

  set(why: Partial<Record<HealthSubject, string>>): void {
    this.#why = why;
    this.#changes.dispatchEvent(new Event('change'));
  }

  check(subject: HealthSubject): Promise<string | undefined> {
    return Promise.resolve(this.#why[subject]);
  }

  async *watch(subject: HealthSubject, signal: AbortSignal): AsyncIterable<string | undefined> {
    this.watching += 1;
    try {
      while (!signal.aborted) {
        const changed = Promise.withResolvers<void>();
        this.#changes.addEventListener('change', () => changed.resolve(), { once: true });
        signal.addEventListener('abort', () => changed.resolve(), { once: true });
        yield this.#why[subject];
        await changed.promise;
      }
    } finally {
      this.watching -= 1;
    }
  }
}
