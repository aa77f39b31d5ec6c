/** Makes the stamps of facts: one clock a node, moved forward by what peers say. */
import type { Stamp } from '../domain/event.ts';
import { HybridClock } from '../domain/hlc.ts';
import type { Hlc } from '../domain/hlc.ts';
import type { Clock } from '../domain/ports.ts';

export class Chronicler {
  readonly #clock: Clock;
  readonly #hybrid: HybridClock;

  constructor(clock: Clock, last?: Hlc) {
    this.#clock = clock;
    this.#hybrid = new HybridClock(last);
  }

  stamp(): Stamp {
    const atMs = this.#clock.now();
    return { atMs, hlc: this.#hybrid.tick(atMs) };
  }

  /** A stamp after `remote`, so that what follows from a peer's fact sorts after it. */
  stampAfter(remote: Hlc): Stamp {
    const atMs = this.#clock.now();
    return { atMs, hlc: this.#hybrid.observe(remote, atMs).at };
  }
}
