/** Which kind of agent a project is for, when nobody says. */
import { invalid } from '../domain/errors.ts';
import type { Fit, Harness } from '../domain/harness-port.ts';
import type { Endpoint } from '../domain/invocation.ts';
import type { Log } from '../domain/ports.ts';

/** Looked for when nothing says how an agent is run. */
const presets = ['claude', 'codex', 'gemini', 'opencode'];

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

/** Of the agents that are installed and ready, the one that the endpoint's directory is set up for. @throws BrokerError `invalid` */
export async function fittingHarness(harnesses: ReadonlyMap<string, Harness>, endpoint: Omit<Endpoint, 'harness'>): Promise<Harness> {
  const ready: Ready[] = [];
  const missing: string[] = [];
  for (const harness of presetsOf(harnesses)) {
    const { available, why } = await harness.check({ ...endpoint, harness: harness.name });
    if (available) ready.push({ harness, fit: await harness.fit?.(endpoint.cwd) });
    else missing.push(`${harness.name}: ${why ?? 'not available'}`);
  }
  return chosenHarness(ready, missing);
}

/** The same for a project of which only its files speak: one that they are not made for will not do, though it be the only one. */
export async function markedHarness(harnesses: ReadonlyMap<string, Harness>, endpoint: Omit<Endpoint, 'harness'>): Promise<Harness> {
  const fitting: Ready[] = [];
  for (const harness of presetsOf(harnesses)) {
    const fit = await harness.fit?.(endpoint.cwd);
    if (fit !== undefined) fitting.push({ harness, fit });
  }
  // Files of one agent's own mean that one, be it here or not.
  const meant = fitting.some(({ fit }) => fit?.isItsOwn === true) ? fitting.filter(({ fit }) => fit?.isItsOwn === true) : fitting;
  const ready: Ready[] = [];
  const missing: string[] = [];
  for (const each of meant) {
    const { available, why } = await each.harness.check({ ...endpoint, harness: each.harness.name });
    if (available) ready.push(each);
    else missing.push(`${each.fit?.mark ?? ''} is for ${each.harness.name}, which can’t be had here: ${why ?? 'it is not available'}`);
  }
  if (ready.length === 0 && missing.length > 0) throw invalid(missing.join('; '), 'see to it, or say in the config file what to run');
  return chosenHarness(ready, missing);
}

function presetsOf(harnesses: ReadonlyMap<string, Harness>): readonly Harness[] {
  return presets.flatMap((name) => harnesses.get(name) ?? []);
}

/** The one that is named, fit for what it is to run. @throws BrokerError `invalid` */
export function namedHarness(harnesses: ReadonlyMap<string, Harness>, name: string, { argv, isolate }: Pick<Endpoint, 'argv' | 'isolate'>): Harness {
  const harness = harnesses.get(name);
  if (harness === undefined) throw invalid(`there is no harness ${name}`, `known: ${[...harnesses.keys()].join(', ')}`);
  if (name === 'attached' && argv.length > 0) throw invalid('an attached agent has no command: its process comes to the node by itself', 'leave out what stands after --');
  if (name === 'attached' && isolate) throw invalid('an attached agent works where its process is: no worktree can be made for it', 'leave out --isolate');
  if ((name === 'command' || name === 'acp') && argv.length === 0) throw invalid(`the harness ${name} needs a command`, 'put it after --, for example: beckon agent add fabric -- ./agent.sh');
  return harness;
}

/** What is kept warm ends with the node. */
export async function closeHarnesses({ harnesses, log }: { readonly harnesses: ReadonlyMap<string, Harness>; readonly log: Log }): Promise<void> {
  await Promise.all([...harnesses.values()].map(async (harness) => harness.close?.().catch((error: unknown) => log.error({ harness: harness.name, err: error }, 'what a harness kept could not be ended'))));
}
