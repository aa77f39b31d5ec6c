/** `--compare`: programs of others, each before and after the bench that it is compared with. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Compared, Comparison } from '../bench.ts';
import { rounded } from '../figures.ts';
import { nats } from './nats.ts';

const comparisons: readonly Comparison[] = [nats];

export interface Beside {
  /** Of the names of `Compared`, those measured before, then those after the bench. */
  readonly rounds: (readonly Compared[])[];
  readonly comparison: Comparison;
}

/** Those that are installed; of the others one line each. */
export function installed(bench: string, tell: (text: string) => void): readonly Beside[] {
  return comparisons.filter(({ beside }) => beside === bench).flatMap((comparison) => {
    if (isOnPath(comparison.program)) return [{ comparison, rounds: [] }];
    tell(`${comparison.program} is not on PATH: not compared with ${bench}`);
    return [];
  });
}

export async function round(all: readonly Beside[], tell: (text: string) => void, signal: AbortSignal): Promise<void> {
  for (const { comparison, rounds } of all) {
    tell(`${comparison.program} is measured, round ${rounds.length + 1}`);
    rounds.push(await comparison.run(signal));
  }
}

/** Lines for people, and the JSON of one program. @param figures of the bench */
export function outcome({ comparison, rounds }: Beside, figures: Readonly<Record<string, unknown>>): { readonly lines: readonly string[]; readonly json: Readonly<Record<string, unknown>> } {
  const own = Number(figures['rps']);
  const names = rounds[0]?.map(({ name }) => name) ?? [];
  const means = names.map((name) => {
    const seen = rounds.map((each) => each.find((compared) => compared.name === name)).filter((each) => each !== undefined);
    return { name, seen, rps: seen.reduce((sum, { rps }) => sum + rps, 0) / seen.length };
  });
  return {
    lines: means.flatMap(({ seen, rps }) => [
      ...seen.map(({ what, figure }) => `${comparison.version()}, ${what}: ${figure}`),
      `  ${comparison.beside} is ${(own / rps).toFixed(2)} times that`,
    ]),
    json: { version: comparison.version(), ...Object.fromEntries(means.map(({ name, rps }) => [name, { rps: rounded(rps), ratio: rounded(own / rps) }])) },
  };
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error) return false;
      throw error;
    }
  });
}
