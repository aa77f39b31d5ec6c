/** A run whose code is still being loaded: the library is large, and many nodes never run an agent of this kind. */
import { toBrokerError } from '../../domain/errors.ts';
import type { Run, RunEnd } from '../../domain/harness-port.ts';

export class LateRun implements Run {
  readonly ended: Promise<RunEnd>;
  readonly #run: Promise<Run>;

  constructor(run: Promise<Run>) {
    this.#run = run;
    this.ended = run.then(
      (loaded) => loaded.ended,
      (error: unknown) => ({ error: toBrokerError(error).toInfo() }),
    );
  }

  stop(graceMs: number): Promise<number> {
    return this.#run.then(
      (loaded) => loaded.stop(graceMs),
      () => 0,
    );
  }
}
