/** Measurements of several targets in turn, so that what else the machine does falls on all of them. */
import type { BenchContext } from '../bench.ts';
import { ms, rounded, spreadOf } from '../figures.ts';
import type { Load, Sample } from '../load.ts';

export interface Target {
  readonly name: string;
  /** Its load generator. */
  readonly load: { measure(load: Load): Promise<Sample> };
}

export interface Round {
  readonly inFlight: number;
  readonly seconds: number;
}

export interface Measured {
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the load generator's process, for each item, µs. */
  readonly clientCpuUs: number;
}

export type Rounds = ReadonlyMap<string, readonly Measured[]>;

const warmUpMs = 2_000;

export async function measureInTurn(targets: readonly Target[], round: Round & { readonly rounds: number }, { tell, signal }: BenchContext): Promise<Rounds> {
  const measured = new Map<string, Measured[]>(targets.map(({ name }) => [name, []]));
  for (const { load } of targets) await load.measure({ inFlight: round.inFlight, ms: warmUpMs });
  for (let count = 1; count <= round.rounds; count += 1) {
    for (const { name, load } of targets) {
      signal.throwIfAborted();
      const each = measuredOf(await load.measure({ inFlight: round.inFlight, ms: round.seconds * 1000 }));
      measured.get(name)?.push(each);
      tell(`round ${count}: ${name} ${rounded(each.rps)}/s, p50 ${ms(each.p50Ms)}, p99 ${ms(each.p99Ms)}`);
    }
  }
  return measured;
}

function measuredOf({ tookMs, perSecond, cpuUs }: Sample): Measured {
  const { p50, p99 } = spreadOf(tookMs);
  return { rps: perSecond, p50Ms: p50, p99Ms: p99, clientCpuUs: cpuUs };
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
