/** Measurements of several targets in turn, so that what else the machine does falls on all of them. */
import type { BenchContext } from '../bench.ts';
import { ms, rounded, spreadOf } from '../figures.ts';
import type { Measured, Round } from './load.ts';
import type { Program } from './program.ts';

export interface Target {
  readonly name: string;
  /** Its load generator. */
  readonly load: Program;
}

export type Rounds = ReadonlyMap<string, readonly Measured[]>;

const warmUpSeconds = 2;

export async function measureInTurn(targets: readonly Target[], round: Round & { readonly rounds: number }, { tell, signal }: BenchContext): Promise<Rounds> {
  const measured = new Map<string, Measured[]>(targets.map(({ name }) => [name, []]));
  for (const { load } of targets) await load.ask({ ...round, seconds: warmUpSeconds } satisfies Round);
  for (let count = 1; count <= round.rounds; count += 1) {
    for (const { name, load } of targets) {
      signal.throwIfAborted();
      const each = (await load.ask({ inFlight: round.inFlight, seconds: round.seconds } satisfies Round)) as Measured;
      measured.get(name)?.push(each);
      tell(`round ${count}: ${name} ${rounded(each.rps)}/s, p50 ${ms(each.p50Ms)}, p99 ${ms(each.p99Ms)}`);
    }
  }
  return measured;
}

/** The middle one of all rounds. */
export function median(rounds: Rounds, name: string, of: (measured: Measured) => number): number {
  return spreadOf((rounds.get(name) ?? []).map(of)).p50;
}

/** The middle one of the ratios of each round: the two were measured within seconds of each other. */
export function ratio(rounds: Rounds, name: string, to: string): number {
  const others = rounds.get(to) ?? [];
  return spreadOf((rounds.get(name) ?? []).map(({ rps }, index) => rps / (others[index]?.rps ?? Number.NaN))).p50;
}
