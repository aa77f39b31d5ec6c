/** Which kind of agent a project is for, when nobody says. */
import { invalid } from '../domain/errors.ts';
import type { Fit, Harness } from '../domain/harness-port.ts';

/** An agent that is installed and could run, and what the project has for it. */
export interface Ready {
  readonly harness: Harness;
  readonly fit: Fit | undefined;
}

/**
 * The one whose own files the project has (CLAUDE.md, .gemini), else one that reads what it has for any agent (AGENTS.md),
 * else any. Nothing is guessed among several.
 * @param missing why others are not ready, for the error
 * @throws BrokerError `invalid`
 */
export function chosenHarness(ready: readonly Ready[], missing: readonly string[]): Harness {
  const rank = ({ fit }: Ready): number => (fit === undefined ? 0 : fit.isItsOwn ? 2 : 1);
  const highest = Math.max(...ready.map(rank));
  const [best, ...others] = ready.filter((each) => rank(each) === highest);
  if (best === undefined) {
    const looked = missing.length === 0 ? '' : ` (${missing.join('; ')})`;
    throw invalid(`nothing says what to run${looked}`, 'put the command after --, for example: beckon agent add fabric -- ./agent.sh; or name one: --harness');
  }
  if (others.length === 0) return best.harness;
  const all = [best, ...others].map(({ harness, fit }) => (fit === undefined ? harness.name : `${harness.name} (${fit.mark})`));
  throw invalid(`several agents would do here: ${all.join(', ')}`, `say which: --harness ${best.harness.name}`);
}
