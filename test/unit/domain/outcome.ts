import { BrokerError } from '../../../src/domain/errors.ts';

/** What `run` returned, or the BrokerError it threw. Anything else it throws fails the test. */
export function outcome<T>(run: () => T): T | BrokerError {
  try {
    return run();
  } catch (thrown) {
    if (thrown instanceof BrokerError) return thrown;
    throw thrown;
  }
}

/** The BrokerError that `run` must throw. */
export function caught(run: () => unknown): BrokerError {
  const result = outcome(run);
  if (result instanceof BrokerError) return result;
  throw new Error('nothing was thrown');
}

/** The code of the BrokerError that `run` threw, or `ok`. */
export function codeOf(run: () => unknown): string {
  const result = outcome(run);
  return result instanceof BrokerError ? result.code : 'ok';
}
