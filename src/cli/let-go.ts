/** What goes on until its person lets go of it (Ctrl-C, a kill, a terminal that is gone), or the reader of its output has gone. */
import type { Context } from './context.ts';

export class LetGo implements Disposable {
  readonly #context: Context;
  readonly #abort = new AbortController();
  readonly #release: () => void;

  constructor(context: Context) {
    const { host, out } = context;
    this.#context = context;
    this.#release = host.onSignal(['SIGINT', 'SIGTERM', 'SIGHUP'], this.now);
    out.readerGone.addEventListener('abort', this.now);
    if (out.readerGone.aborted) this.now();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** As Ctrl-C does. */
  readonly now = (): void => this.#abort.abort();

  /** Resolves after so long, or as soon as it is let go of. */
  pause(ms: number): Promise<void> {
    const { signal } = this;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancelTimer = this.#context.host.clock.setTimer(ms, done);
      signal.addEventListener('abort', done);
    });
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#context.out.readerGone.removeEventListener('abort', this.now);
  }
}
