/**
 * What changes the worktrees or branches of one repository, one after the other. git itself does not see to that: one
 * `worktree add` trips over what another has half written of itself, and `branch -D` gives up at a lock that is taken.
 */
import { BrokerError } from '../../domain/errors.ts';

export class Lanes {
  readonly #last = new Map<string, Promise<unknown>>();

  /** @throws BrokerError `cancelled` when aborted while others go first; then `work` is never begun */
  run<Result>(repository: string, work: () => Promise<Result>, aborted?: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(new BrokerError('cancelled', 'it was stopped before its worktree was made'));
      if (aborted?.aborted === true) return stop();
      aborted?.addEventListener('abort', stop, { once: true });
      const turn = (this.#last.get(repository) ?? Promise.resolve()).then(async () => {
        aborted?.removeEventListener('abort', stop);
        if (aborted?.aborted === true) return;
        await work().then(resolve, reject);
      });
      this.#last.set(repository, turn);
      void turn.then(() => {
        if (this.#last.get(repository) === turn) this.#last.delete(repository);
      });
    });
  }
}
